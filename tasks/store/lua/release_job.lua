-- Makes chunks of a deferred job pending when its time has come.
-- include: clock deferred once
-- args: job_id, limit (chunks of one call)
-- Returns the queue of the job, and how many chunks.
local answered = once.answer()
if answered then
  return answered
end
local due = redis.call('ZSCORE', keys.deferred, args.job_id)
local queue = redis.call('HGET', keys.job .. args.job_id, 'queue') or ''
if not due or tonumber(due) > now then
  return {queue, 0}
end
return once.keep({queue, deferred.release(args.job_id, args.limit)})
