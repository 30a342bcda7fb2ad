-- Leases deliveries that are due, oldest first. The attempt is counted before it is made.
-- include: clock counters once
-- args: limit, max_attempts, lease_ms, busy_hosts (no further delivery is leased for these)
-- Returns the job's id and the record of each.
local BUSY_DELAY_MS = 1000
local leased, busy = {}, {}

local function records(ids)
  local read = {}
  for i, id in ipairs(ids) do
    read[i] = {id, redis.call('HGETALL', keys.job .. id .. ':delivery')}
  end
  return read
end

local answered = once.answer()
if answered then
  return records(answered)
end
for _, host in ipairs(args.busy_hosts) do
  busy[host] = true
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', keys.deliveries, 0, now, 'LIMIT', 0, args.limit)) do
  local key = keys.job .. id .. ':delivery'
  local host = redis.call('HGET', key, 'host')
  if not host then
    redis.call('ZREM', keys.deliveries, id)
  elseif busy[host] then
    -- A slow receiver delays its own deliveries, not those behind them.
    redis.call('ZADD', keys.deliveries, now + BUSY_DELAY_MS, id)
  elseif tonumber(redis.call('HGET', key, 'attempts')) >= args.max_attempts then
    redis.call('HSET', key, 'state', 'exhausted')
    counters.increment('webhooks:exhausted', 1)
    redis.call('ZREM', keys.deliveries, id)
  else
    local attempt = redis.call('HINCRBY', key, 'attempts', 1)
    redis.call('HSET', key, attempt, string.format('{"at_ms":%.0f}', now))
    redis.call('ZADD', keys.deliveries, now + args.lease_ms, id)
    leased[#leased + 1] = id
  end
end
return records(#leased > 0 and once.keep(leased) or leased)
