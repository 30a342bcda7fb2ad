-- Makes a delivery due now, with all attempts before it again; the outcome of an attempt under way is logged, and does
-- not count.
-- include: clock deliveries once
-- args: job_id, state (only of a delivery with that status; of any if left out)
-- Returns 1, or 0 when the delivery is gone or has another status.
local key = keys.job .. args.job_id .. ':delivery'
local answered = once.answer()
if answered then
  return answered
end
local record = redis.call('HMGET', key, 'owner', 'state', 'attempts', 'ended')
if not record[1] or (args.state and args.state ~= record[2]) then
  return once.keep(0)
end
redis.call('HSET', key, 'state', 'pending', 'earlier', record[3])
redis.call('PEXPIRE', key, math.max(deliveries.TTL_MS, redis.call('PTTL', key)))
deliveries.schedule(record[1], args.job_id, now)
deliveries.log(args.job_id, record[4])
return once.keep(1)
