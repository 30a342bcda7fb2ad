-- Reads the results of completed chunks in input order, until one is not completed or `limit` items are read.
-- args: job_id, start (of the first chunk), limit
-- Returns {start, results} of each chunk.
local start, left, read = args.start, args.limit, {}
while left > 0 do
  local value = redis.call('HGET', keys.job .. args.job_id .. ':results', start)
  if not value then
    break
  end
  local items, results = string.match(value, '^(%d+) (.*)$')
  read[#read + 1] = {start, results}
  start, left = start + items, left - items
end
return read
