-- Records the outcome of an attempt. What it means for the delivery counts only if no later attempt has begun, and the
-- delivery was not asked for again meanwhile.
-- include: clock counters deliveries
-- args: job_id, attempt, outcome {status_code or error}, state (of the delivery from now on), delay_ms (until the
--       next)
-- Returns 1, or 0 when it does not count or the delivery is gone.
local TEST_TTL_MS = 60000
local key = keys.job .. args.job_id .. ':delivery'
local record = redis.call('HMGET', key, args.attempt, 'attempts', 'owner', 'earlier', 'test')
if not record[1] then
  return 0
end
local line, outcome = cjson.decode(record[1]), args.outcome
if not line.duration_ms and not record[5] then
  counters.increment('webhooks:' .. args.state, 1)
end
outcome.at_ms, outcome.duration_ms = line.at_ms, now - line.at_ms
redis.call('HSET', key, args.attempt, cjson.encode(outcome))
if tonumber(record[2]) ~= args.attempt or args.attempt <= tonumber(record[4] or 0) then
  return 0
end
redis.call('HSET', key, 'state', args.state)
if args.state == 'pending' then
  deliveries.schedule(record[3], args.job_id, now + args.delay_ms)
  return 1
end
deliveries.remove(record[3], args.job_id)
-- The log lives as long as the job; a test has none.
redis.call('PEXPIRE', key, record[5] and TEST_TTL_MS or math.max(0, redis.call('PTTL', keys.job .. args.job_id)))
return 1
