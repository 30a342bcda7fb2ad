#!/bin/sh
# Print the users of Redis, with hashes of their passwords. Each role reaches the keys that its work needs: a new key
# of the worker or the sender of webhooks must be added here, which tests/deploy/test_redis_users.py notices.
# The user `default` is the administrator and must stay on: Redis replays its append-only file as that user, and skips
# every transaction and script that the user may not run.
set -eu
hash() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }
commands='+@read +@write +@transaction +@scripting +@pubsub +@connection -@dangerous -@admin +info +time -script|flush -script|kill'
# A new user of Redis 6.2 reaches all channels.
channels='resetchannels &sentiq:*'
queues='~sentiq.* ~_kombu.*'
# Celery takes messages, sends events and answers remote control.
celery="$queues ~sentiq:unacked* ~*.sentiq.pidbox* &/0.sentiq.pidbox &/0.sentiqev/*"
work='~sentiq:job:* ~sentiq:pending:* ~sentiq:waiting:* ~sentiq:turns:* ~sentiq:tags:* ~sentiq:models ~sentiq:retired ~sentiq:leased:* ~sentiq:leases:* ~sentiq:backlog:* ~sentiq:owners ~sentiq:fence'
work="$work ~sentiq:open_jobs* ~sentiq:uploads ~sentiq:deferred ~sentiq:deliver* ~sentiq:counters ~sentiq:workers* ~sentiq:reconciler"
work="$work ~sentiq:kept* ~sentiq:shares:* ~sentiq:lines:* ~sentiq:published:* ~sentiq:awake:* ~sentiq:ready:* ~sentiq:answer:* ~sentiq:labels %R~sentiq:weights"
work="$work ~sentiq:usage:* ~sentiq:usage_owners ~sentiq:jobs:* %R~sentiq:pauses ~sentiq:parked* ~sentiq:unsettled"
# `?` is one character: an id has 34 behind `job_`. So this is the record alone, without its texts and results.
record="%R~sentiq:job:job_$(printf '%34s' '' | tr ' ' '?')"
sender="$record ~sentiq:job:*:delivery ~sentiq:deliver* ~sentiq:answer:* ~sentiq:counters ~sentiq:sender:* ~sentiq:webhook_secret"
# Flower reads the lengths of queues and subscribes to events; it cannot publish, so it cannot control a worker.
flower='%R~sentiq.* %R~sentiq:models ~_kombu.binding*.sentiqev* ~_kombu.binding_deadlines ~sentiqev* &/0.sentiqev/*'
# The API sees that Redis writes each change to disk before it answers. A Redis 8 is asked with WAITAOF, which has to
# stand behind -@blocking.
durable=
case ${DURABLE:-false} in [Tt]rue | 1 | [Yy]es | [Oo]n) durable=' +config|get +waitaof' ;; esac
cat <<ACL
user default on #$(hash "$REDIS_ADMIN_PASSWORD") ~* &* +@all
user api on #$(hash "$REDIS_API_PASSWORD") ~sentiq:* $channels $queues $commands -@blocking -psubscribe$durable
user worker on #$(hash "$REDIS_WORKER_PASSWORD") $work $channels $celery $commands -scan -randomkey
user webhooks on #$(hash "$REDIS_WEBHOOKS_PASSWORD") $sender $channels $commands -scan -randomkey -@blocking -@pubsub +publish
user flower on #$(hash "$REDIS_FLOWER_PASSWORD") resetchannels $flower $commands -scan -randomkey -publish
ACL
