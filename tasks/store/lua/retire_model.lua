-- Retires a model: it takes no new jobs, and leaves the registry when its last job has finished.
-- include: pending
-- args: model, queues (of the model)
-- Returns how many items are still to be scored, and how many uploads are open; nothing when there is no such model.
if redis.call('HEXISTS', keys.models, args.model) == 0 then
  return redis.call('SISMEMBER', keys.retired, args.model) == 1 and {0, 0}
end
redis.call('SADD', keys.retired, args.model)
local items, uploads = 0, 0
for _, queue in ipairs(args.queues) do
  for _, count in ipairs(redis.call('HMGET', keys.backlog .. queue, 'items', 'deferred', 'paused')) do
    items = items + math.max(0, count or 0)
  end
end
for _, id in ipairs(redis.call('ZRANGE', keys.uploads, 0, -1)) do
  local queue = redis.call('HGET', keys.job .. id, 'queue') or ''
  uploads = uploads + (string.match(queue, '^[^:]*') == args.model and 1 or 0)
end
if items + uploads == 0 then
  redis.call('HDEL', keys.models, args.model)
  for _, queue in ipairs(args.queues) do
    -- What is still pending or leased is of jobs that have ended, and no child would drop it any more.
    for _, owners in ipairs({keys.waiting .. queue, keys.parked .. queue}) do
      for _, owner in ipairs(redis.call('ZRANGE', owners, 0, -1)) do
        redis.call('UNLINK', pending.key(queue, owner))
      end
    end
    redis.call('UNLINK', keys.backlog .. queue, keys.shares .. queue, keys.waiting .. queue, keys.leased .. queue,
      keys.turns .. queue, keys.tags .. queue, keys.lines .. queue, keys.parked .. queue, keys.parked_shares .. queue,
      keys.parked_lines .. queue)
  end
  redis.call('UNLINK', keys.wakeups .. args.model, keys.published .. args.model, keys.awake .. args.model,
    keys.ready .. args.model)
end
return {items, uploads}
