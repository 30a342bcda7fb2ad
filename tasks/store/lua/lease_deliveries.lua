-- Leases deliveries that are due, oldest first; the attempt is counted before it is made.
-- KEYS: webhooks
-- ARGV: prefix, most, attempts allowed, lease_ms, then the hosts that are crowded
-- Returns job id and record of each.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local crowded, leased = {}, {}
for i = 5, #ARGV do
  crowded[ARGV[i]] = true
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], 0, now, 'LIMIT', 0, ARGV[2])) do
  local key = ARGV[1] .. 'job:' .. id .. ':delivery'
  local host = redis.call('HGET', key, 'host')
  if not host then
    redis.call('ZREM', KEYS[1], id)
  elseif crowded[host] then
    -- A slow receiver delays its own deliveries, not those behind them.
    redis.call('ZADD', KEYS[1], now + 1000, id)
  elseif tonumber(redis.call('HGET', key, 'attempts')) >= tonumber(ARGV[3]) then
    redis.call('HSET', key, 'state', 'exhausted')
    account.count(ARGV[1], 'webhooks:exhausted', 1)
    redis.call('ZREM', KEYS[1], id)
  else
    local attempt = redis.call('HINCRBY', key, 'attempts', 1)
    redis.call('HSET', key, attempt, '{"at_ms":' .. string.format('%.0f', now) .. '}')
    redis.call('ZADD', KEYS[1], now + ARGV[4], id)
    table.insert(leased, {id, redis.call('HGETALL', key)})
  end
end
return leased
