-- Makes chunks of a deferred job pending when its time has come.
-- include: clock deferred once pauses
-- args: job_id, limit (chunks of one call)
-- Returns the queue of the job, how many chunks, and how many of them may be leased: none while they are paused.
local answered = once.answer()
if answered then
  return answered
end
local due = redis.call('ZSCORE', keys.deferred, args.job_id)
local record = redis.call('HMGET', keys.job .. args.job_id, 'queue', 'owner')
local queue = record[1] or ''
if not due or tonumber(due) > now then
  return {queue, 0, 0}
end
local count = deferred.release(args.job_id, args.limit)
return once.keep({queue, count, count > 0 and pauses.parks(queue, record[2] or '') and 0 or count})
