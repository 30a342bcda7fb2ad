-- Notes on a job why it has no shadow, or only a part of one.
-- args: job_id, code (of the error)
local job = keys.job .. args.job_id
if redis.call('EXISTS', job) == 1 then
  redis.call('HSET', job, 'shadow_error', args.code)
end
