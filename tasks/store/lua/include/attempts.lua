-- The attempts that the sender is making, and the lease of a delivery that is due.
-- include: clock counters deliveries
-- args: per_host, held (owner -> host -> attempts), max_attempts, lease_ms
local BUSY_DELAY_MS = 1000
-- Of attempts that are older, the log has nothing: a delivery may be made again any number of times.
local MAX_LINES = 100
local attempts = {}

function attempts.under_way(owner)
  local count = 0
  for _, others in pairs(args.held[owner] or {}) do
    count = count + others
  end
  return count
end

local function begin(owner, id, host)
  local key = keys.job .. id .. ':delivery'
  local attempt = redis.call('HINCRBY', key, 'attempts', 1)
  redis.call('HSET', key, attempt, string.format('{"at_ms":%.0f}', now))
  redis.call('HDEL', key, attempt - MAX_LINES)
  deliveries.schedule(owner, id, now + args.lease_ms)
  args.held[owner] = args.held[owner] or {}
  args.held[owner][host] = (args.held[owner][host] or 0) + 1
end

-- Returns whether it leased the delivery.
function attempts.lease(owner, id)
  local key = keys.job .. id .. ':delivery'
  local record = redis.call('HMGET', key, 'host', 'attempts', 'earlier', 'test')
  local host = record[1]
  if not host then
    deliveries.remove(owner, id)
  elseif ((args.held[owner] or {})[host] or 0) >= args.per_host then
    -- A slow receiver delays its own deliveries, not those behind them.
    deliveries.schedule(owner, id, now + BUSY_DELAY_MS)
  elseif record[2] - (record[3] or 0) >= args.max_attempts then
    redis.call('HSET', key, 'state', 'exhausted')
    if not record[4] then
      counters.increment('webhooks:exhausted', 1)
    end
    deliveries.remove(owner, id)
  else
    begin(owner, id, host)
    return true
  end
  return false
end
