-- Gives up chunks of a job that is overdue, or canceled: of a canceled one those that no child has leased.
-- include: clock backlog conclude outcome
-- args: job_id, status (how its items end), chunks {start, bytes, items, cost, failed, counters, model, tallies,
--       usage}; payloads of each chunk: results, texts worth a retry or ''
-- `failed` of a chunk's items had failed before; `bytes` is the size of the payload that the caller read.
local job = keys.job .. args.job_id
local record = redis.call('HMGET', job, 'deadline', 'cancel')
if not record[1] then
  return
end
local cancel_at = tonumber(record[2] or math.huge)
local overdue = tonumber(record[1]) <= now or cancel_at <= now
if not overdue and not record[2] then
  return
end
local items, cost, failed = 0, 0, 0
for i, chunk in ipairs(args.chunks) do
  -- A payload of the same size has not been split into chunks of one item since the caller read it.
  local unchanged = redis.call('HSTRLEN', job .. ':chunks', chunk.start) == chunk.bytes
  if unchanged and (overdue or redis.call('HEXISTS', job .. ':tokens', chunk.start) == 0) then
    write_outcome(job, chunk, string.format('%d %s', chunk.items, payload(2 * i - 1)), payload(2 * i))
    items, cost, failed = items + chunk.items, cost + chunk.cost, failed + chunk.failed
  end
end
if items == 0 then
  return
end
backlog.leave(job, items, cost)
redis.call('HINCRBY', job, 'failed', failed)
redis.call('HINCRBY', job, args.status, items - failed)
conclude(args.job_id)
