-- Erases a job with all its parts, its delivery and its shadow, and leaves tombstones that say so.
-- include: clock counters backlog kept deliveries feed open_jobs
-- args: job_id, owner, tombstone_ms (no tombstone if left out), writer (only if this request feeds its upload), key
--       (Redis key of the idempotency key, which is free again if it stands for this upload while it comes in)
-- An upload that is not recorded yet is refused for a while: its `create_job` may still be on its way.
local ON_ITS_WAY_MS = 120000
local counted = {'succeeded', 'failed', 'timed_out', 'canceled'}

local function erase(id)
  local job = keys.job .. id
  local record = redis.call('HMGET', job, 'total', 'cost', 'queue', 'shadow', unpack(counted))
  if not record[1] then
    return
  end
  local open = tonumber(record[1])
  for i = 1, #counted do
    open = open - (record[4 + i] or 0)
  end
  if open > 0 then
    counters.add({['items:deleted'] = open}, record[3])
  end
  backlog.leave(job, open, record[2] or 0)
  redis.call('UNLINK', job)
  for _, part in ipairs(keys.parts) do
    redis.call('UNLINK', job .. part)
  end
  if args.tombstone_ms then
    redis.call('SET', keys.tombstone .. id, 'deleted', 'PX', args.tombstone_ms)
  end
  deliveries.remove(args.owner, id)
  redis.call('ZREM', keys.delivery_log, id)
  redis.call('ZREM', keys.open_jobs, id)
  open_jobs.remove(args.owner, id)
  redis.call('ZREM', keys.uploads, id)
  redis.call('ZREM', keys.deferred, id)
  redis.call('ZREM', keys.jobs .. args.owner, id)
  kept.free(args.owner, id)
  redis.call('PUBLISH', keys.finished, id)
  if record[4] then
    erase(record[4])
  end
end

if args.writer and redis.call('EXISTS', keys.job .. args.job_id) == 0 then
  redis.call('SET', keys.tombstone .. args.job_id, 'deleted', 'NX', 'PX', ON_ITS_WAY_MS)
end
local writer = feed.parse(redis.call('HGET', keys.job .. args.job_id, 'uploading'))
if args.writer and writer and writer ~= args.writer then
  return
end
if writer or not args.writer then
  erase(args.job_id)
end
-- In the same step: between two a failure would leave the key with a job that was deleted.
if args.key and redis.call('GET', args.key) == 'open ' .. args.job_id then
  redis.call('DEL', args.key)
end
