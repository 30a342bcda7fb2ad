-- Records the outcome of an attempt. What it means for the delivery counts only if no later attempt has begun.
-- include: clock counters deliveries
-- args: job_id, attempt, outcome {status_code or error}, state (of the delivery from now on), delay_ms (until the
--       next)
-- Returns 1, or 0 when a later attempt has begun or the delivery is gone.
local key = keys.job .. args.job_id .. ':delivery'
local record = redis.call('HMGET', key, args.attempt, 'attempts', 'owner')
if not record[1] then
  return 0
end
local line, outcome = cjson.decode(record[1]), args.outcome
if not line.duration_ms then
  counters.increment('webhooks:' .. args.state, 1)
end
outcome.at_ms, outcome.duration_ms = line.at_ms, now - line.at_ms
redis.call('HSET', key, args.attempt, cjson.encode(outcome))
if tonumber(record[2]) ~= args.attempt then
  return 0
end
redis.call('HSET', key, 'state', args.state)
if args.state == 'pending' then
  deliveries.schedule(record[3], args.job_id, now + args.delay_ms)
  return 1
end
deliveries.remove(record[3], args.job_id)
-- The log lives as long as the job.
redis.call('PEXPIRE', key, math.max(0, redis.call('PTTL', keys.job .. args.job_id)))
return 1
