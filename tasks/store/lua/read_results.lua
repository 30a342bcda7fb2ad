-- Reads the results of completed chunks in input order, until one is not completed or `limit` items are read.
-- include: attachments
-- args: job_id, start (of the first chunk), limit
-- Returns {start, results, attached} of each chunk; `attached` as attachments.lua reads it.
local job, start, left, read = keys.job .. args.job_id, args.start, args.limit, {}
local attached_to = attachments.reader(job)
while left > 0 do
  local value = redis.call('HGET', job .. ':results', start)
  if not value then
    break
  end
  local items, results = string.match(value, '^(%d+) (.*)$')
  read[#read + 1] = {start, results, attached_to(start)}
  start, left = start + items, left - items
end
return read
