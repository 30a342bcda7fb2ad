-- Makes a leased chunk pending again that its child does not score: whole, or as the chunks that it was split into.
-- Safe to repeat: the lease's token is gone then.
-- include: clock counters
-- args: job_id, class, worker, start, ref, token, reason (counted), ahead (before what arrived later than its job),
--       parts (start and ref of each; payloads follow if it was split)
-- Returns 1 when done, 0 when the chunk was no longer the caller's.
local job, mine = keys.job .. args.job_id, tostring(args.token)
if redis.call('HGET', job .. ':tokens', args.start) ~= mine then
  return 0
end
redis.call('HDEL', job .. ':tokens', args.start)
redis.call('ZREM', keys.leased .. args.class, args.ref)
redis.call('HDEL', keys.leases .. args.worker, args.ref)
if redis.call('HEXISTS', job .. ':chunks', args.start) == 0 then
  return 0
end
counters.increment('returned:' .. args.reason, 1)
local since = args.ahead and redis.call('HGET', job, 'created') or now
for i, part in ipairs(args.parts) do
  if payload(i) then
    redis.call('HSET', job .. ':chunks', part[1], payload(i))
  end
  redis.call('ZADD', keys.pending .. args.class, string.format('%.3f', since + i / 1000), part[2])
end
return 1
