-- Erases a job with all its parts and its delivery, and leaves a tombstone that says so.
-- include: clock counters backlog kept deliveries feed
-- args: job_id, owner, tombstone_ms (no tombstone if left out), writer (only if this request feeds its upload)
local job = keys.job .. args.job_id
local counted = {'succeeded', 'failed', 'timed_out', 'canceled'}
local record = redis.call('HMGET', job, 'total', 'cost', 'queue', unpack(counted))
local writer = feed.parse(redis.call('HGET', job, 'uploading'))
if not record[1] or (args.writer and writer ~= args.writer) then
  return
end
local open = tonumber(record[1])
for i = 1, #counted do
  open = open - (record[3 + i] or 0)
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
  redis.call('SET', keys.tombstone .. args.job_id, 'deleted', 'PX', args.tombstone_ms)
end
deliveries.remove(args.owner, args.job_id)
redis.call('ZREM', keys.open_jobs, args.job_id)
redis.call('ZREM', keys.uploads, args.job_id)
redis.call('ZREM', keys.jobs .. args.owner, args.job_id)
kept.free(args.owner, args.job_id)
redis.call('PUBLISH', keys.finished, args.job_id)
