#!/bin/sh
# Writes who may do what, with hashes of the passwords, to memory, and starts Redis.
# The user `default` is the administrator, and never off: Redis reads its own log back as that user, and would leave
# out every transaction and script that it may not run.
set -eu
umask 077
hash() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }
store='~sentiq:* &sentiq:*'
bells='~sentiq.interactive* ~sentiq.bulk* ~_kombu.*'
channels='&/0.celery.pidbox &/0.celeryev/* &/0.celeryev/worker.*'
may='+@read +@write +@transaction +@scripting +@pubsub +@connection -@dangerous -@admin +info +time -script|flush -script|kill'
cat > /tmp/users.acl <<ACL
user default on #$(hash "$REDIS_ADMIN_PASSWORD") ~* &* +@all
user api on #$(hash "$REDIS_API_PASSWORD") $store $bells $may -@blocking -psubscribe
user worker on #$(hash "$REDIS_WORKER_PASSWORD") $store $bells ~*.celery.pidbox* $channels $may
user webhooks on #$(hash "$REDIS_WEBHOOKS_PASSWORD") $store $may -@blocking -@pubsub +publish
user flower on #$(hash "$REDIS_FLOWER_PASSWORD") %R~sentiq.interactive* %R~sentiq.bulk* ~_kombu.* ~celeryev* ~*.celery.pidbox* $channels $may
ACL
exec redis-server /etc/sentiq/redis.conf --maxmemory "${REDIS_MAXMEMORY:-0}"
