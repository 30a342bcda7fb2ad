-- Takes an open upload for a request that feeds it, or keeps it for the request that has it.
-- include: clock feed
-- args: job_id, writer, seed (none if the request brings no items), busy_ms (a request that added nothing for so long
--       feeds it no more), idle_timeout_ms, key (Redis key of the idempotency key)
-- Returns {items that are recorded, their digest}, or {items, reason}: 'busy' while another request feeds it, or
-- if nobody may resume it, 'other' if it has other terms, 'closed', 'deleted'.
local job = keys.job .. args.job_id
local record = redis.call('HMGET', job, 'uploading', 'total')
local items = tonumber(record[2] or 0)
if not record[2] then
  return {items, redis.call('GET', keys.tombstone .. args.job_id) == 'deleted' and 'deleted' or 'busy'}
end
local writer, seed, digest = feed.parse(record[1])
if not writer then
  return {items, 'closed'}
end
if seed == feed.NOBODY then
  return {items, 'busy'}
end
local idle_at = tonumber(redis.call('ZSCORE', keys.uploads, args.job_id) or 0)
local silent_ms = now + args.idle_timeout_ms - idle_at
if writer ~= args.writer and writer ~= feed.NOBODY and silent_ms < args.busy_ms then
  return {items, 'busy'}
elseif args.seed and args.seed ~= seed then
  return {items, 'other'}
end
feed.write(job, args.writer, seed, digest)
redis.call('ZADD', keys.uploads, now + args.idle_timeout_ms, args.job_id)
if args.key then
  redis.call('PEXPIRE', args.key, args.idle_timeout_ms)
end
return {items, digest}
