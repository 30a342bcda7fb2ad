#!/bin/sh
# Refuse the passwords of docker-compose.yml where other machines can connect; write the users to a file in memory; start
# Redis.
set -eu
umask 077
case ${BIND:-127.0.0.1} in
127.* | ::1 | '[::1]' | localhost) ;;
*)
    for role in ADMIN API WORKER WEBHOOKS FLOWER; do
        eval "password=\$REDIS_${role}_PASSWORD"
        case $password in local-*)
            echo "redis: BIND=$BIND lets other machines connect: set REDIS_${role}_PASSWORD in .env" >&2
            exit 1
            ;;
        esac
    done
    ;;
esac
sh /etc/sentiq/users.sh > /tmp/users.acl
# Each change is on disk before its answer, where DURABLE asks for that: docs/redis.md.
case ${DURABLE:-false} in [Tt]rue | 1 | [Yy]es | [Oo]n) fsync=always ;; *) fsync=everysec ;; esac
exec redis-server /etc/sentiq/redis.conf --maxmemory "${REDIS_MAXMEMORY:-0}" --appendfsync "$fsync"
