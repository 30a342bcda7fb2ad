-- Erases a job with its texts and results, and leaves a tombstone that says so.
-- include: clock counters backlog kept
-- args: job_id, owner, tombstone_ms
-- Returns 1 when done, 0 when there is no record.
local job = keys.job .. args.job_id
local counted = {'succeeded', 'failed', 'timed_out', 'canceled'}
local record = redis.call('HMGET', job, 'total', 'cost', unpack(counted))
if not record[1] then
  return 0
end
local open = tonumber(record[1])
for i = 1, #counted do
  open = open - (record[2 + i] or 0)
end
if open > 0 then
  counters.increment('items:deleted', open)
end
backlog.leave(job, open, record[2] or 0)
for _, part in ipairs({'', ':chunks', ':results', ':tokens', ':completed', ':retryable'}) do
  redis.call('UNLINK', job .. part)
end
redis.call('SET', keys.tombstone .. args.job_id, 'deleted', 'PX', args.tombstone_ms)
redis.call('ZREM', keys.open_jobs, args.job_id)
redis.call('ZREM', keys.uploads, args.job_id)
redis.call('ZREM', keys.jobs .. args.owner, args.job_id)
kept.free(args.owner, args.job_id)
redis.call('PUBLISH', keys.finished, args.job_id)
return 1
