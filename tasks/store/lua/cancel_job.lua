-- Cancels a job: nothing more of it is leased; what is leased is given up after `grace_ms`.
-- include: clock conclude once
-- args: job_id, grace_ms
-- Returns 1 when the job is being canceled, 0 when it is finished or not there.
local answered = once.answer()
if answered then
  return answered
end
local job = keys.job .. args.job_id
local record = redis.call('HMGET', job, 'status', 'cancel', 'finished')
if not record[1] or record[3] then
  return 0
end
local at = now + args.grace_ms
if not record[2] or tonumber(record[2]) > at then
  redis.call('HSET', job, 'status', 'canceling', 'cancel', at)
  redis.call('ZADD', keys.open_jobs, at, args.job_id)
  redis.call('ZREM', keys.uploads, args.job_id)
  if redis.call('HDEL', job, 'uploading') == 1 then
    redis.call('HSET', job, 'error', 'upload_incomplete')
  end
  conclude(args.job_id)
end
return once.keep(1)
