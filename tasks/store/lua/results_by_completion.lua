-- Reads the results of completed chunks in the order in which they were completed.
-- include: attachments
-- args: job_id, position (of the first, from 0), limit (chunks)
-- Returns {start, results, attached} of each chunk; `attached` as attachments.lua reads it.
local job = keys.job .. args.job_id
local attached_to = attachments.reader(job)
local starts = redis.call('LRANGE', job .. ':completed', args.position, args.position + args.limit - 1)
if #starts == 0 and args.position == 0 then
  starts = {'0'} -- a job of one chunk has no list
end
local read = {}
for _, start in ipairs(starts) do
  local value = redis.call('HGET', job .. ':results', start)
  if value then
    read[#read + 1] = {tonumber(start), string.match(value, '^%d+ (.*)$'), attached_to(start)}
  end
end
return read
