#!/bin/sh
# Write the users, with hashes of their passwords, to a file in memory, and start Redis.
# The user `default` is the administrator and must stay on: Redis replays its append-only file as that user, and skips
# every transaction and script that the user may not run.
set -eu
umask 077
hash() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }
store='~sentiq:* &sentiq:*'
queues='~sentiq.interactive* ~sentiq.bulk* ~_kombu.*'
flower_keys='%R~sentiq.interactive* %R~sentiq.bulk* ~_kombu.* ~sentiqev* ~*.sentiq.pidbox*'
celery_channels='&/0.sentiq.pidbox &/0.sentiqev/* &/0.sentiqev/worker.*'
commands='+@read +@write +@transaction +@scripting +@pubsub +@connection -@dangerous -@admin +info +time -script|flush -script|kill'
cat > /tmp/users.acl <<ACL
user default on #$(hash "$REDIS_ADMIN_PASSWORD") ~* &* +@all
user api on #$(hash "$REDIS_API_PASSWORD") $store $queues $commands -@blocking -psubscribe
user worker on #$(hash "$REDIS_WORKER_PASSWORD") $store $queues ~*.sentiq.pidbox* $celery_channels $commands
user webhooks on #$(hash "$REDIS_WEBHOOKS_PASSWORD") $store $commands -@blocking -@pubsub +publish
user flower on #$(hash "$REDIS_FLOWER_PASSWORD") $flower_keys $celery_channels $commands
ACL
exec redis-server /etc/sentiq/redis.conf --maxmemory "${REDIS_MAXMEMORY:-0}"
