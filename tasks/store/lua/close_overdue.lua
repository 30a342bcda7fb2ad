-- Closes an overdue or canceled job of which no chunk is left, even if its counts do not add up: nothing else would
-- ever end the items that are missing.
-- include: clock counters backlog conclude once summary usage
-- args: job_id, status and code (how the missing items end)
-- Returns how many items were missing.
local answered = once.answer()
if answered then
  return answered
end
local job = keys.job .. args.job_id
local fields = {
  'total', 'succeeded', 'failed', 'timed_out', 'canceled', 'cost', 'finished', 'uploading', 'queue', 'owner',
}
local record = redis.call('HMGET', job, unpack(fields))
if redis.call('EXISTS', job .. ':chunks') == 1 or record[8] then
  return 0
end
redis.call('ZREM', keys.open_jobs, args.job_id)
if not record[1] or record[7] then
  return 0
end
local missing = tonumber(record[1])
for i = 2, 5 do
  missing = missing - (record[i] or 0)
end
missing = math.max(0, missing)
redis.call('HINCRBY', job, args.status, missing)
counters.add({['items:' .. args.code] = missing}, record[9])
summary.add(job, '', {{0, {1, missing, 2, missing}}}, {['items:' .. args.code] = missing})
if missing > 0 then
  usage.add(record[10] or '', record[9], {items = missing, errors = missing})
end
backlog.leave(job, missing, record[6] or 0, false)
conclude(args.job_id)
return once.keep(missing)
