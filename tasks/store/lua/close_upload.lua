-- Closes the upload of a job: it finishes with the last of the items that it has.
-- include: clock conclude once feed
-- args: job_id; writer (only if this request feeds it), idle (only if nothing came for too long, or the job is
--       overdue), error of the job and error_line (where it is in the upload), key (Redis key of the idempotency
--       key), and for a whole body fingerprint and key_ttl_ms, under which the key is remembered
-- Without a fingerprint the key is free again, if it stands for this upload while it comes in.
-- Returns 1 when done, 0 when the upload is not open, or stays open.
local answered = once.answer()
if answered then
  return answered
end
local job = keys.job .. args.job_id
local writer = feed.parse(redis.call('HGET', job, 'uploading'))
if args.writer and writer and writer ~= args.writer then
  return 0
end
if args.idle then
  local idle_at = redis.call('ZSCORE', keys.uploads, args.job_id)
  local overdue = tonumber(redis.call('HGET', job, 'deadline') or 0) <= now
  if not idle_at or (tonumber(idle_at) > now and not overdue) then
    return 0
  end
end
if args.key and args.fingerprint then
  redis.call('SET', args.key, args.fingerprint .. ' ' .. args.job_id, 'PX', args.key_ttl_ms)
elseif args.key and redis.call('GET', args.key) == 'open ' .. args.job_id then
  redis.call('DEL', args.key)
end
redis.call('ZREM', keys.uploads, args.job_id)
if redis.call('HDEL', job, 'uploading') == 0 then
  return 0
end
if args.error then
  redis.call('HSET', job, 'error', args.error)
  if args.error_line then
    redis.call('HSET', job, 'error_line', args.error_line)
  end
end
conclude(args.job_id)
return once.keep(1)
