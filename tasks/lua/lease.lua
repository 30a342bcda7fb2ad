-- Leases the oldest pending chunks of a class, up to a budget of code points; at least one if there is one.
-- KEYS: pending, leased, fence, leases of the worker
-- ARGV: prefix, owner pid, lease_ms, budget, sharers
-- Returns the fencing token, then ref and payload of each chunk.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local budget = tonumber(ARGV[4])
local token, leased, spent = nil, {}, 0
-- Towards the end of the work leases get smaller, so that nobody is left with the last large one.
local most = math.ceil(redis.call('ZCARD', KEYS[1]) / (2 * ARGV[5]))
-- Chunks that were started before run alone, so that a text that kills its child cannot take others along.
for _, ref in ipairs(redis.call('ZRANGE', KEYS[1], 0, 127)) do
  local job, start, chars, attempts = string.match(ref, '^(.-)/(%d+)/(%d+)/(%d+)$')
  local key = ARGV[1] .. 'job:' .. job
  local payload = redis.call('HGET', key .. ':in', start)
  local deadline = tonumber(redis.call('HGET', key, 'deadline') or 0)
  if not payload or deadline <= now then
    redis.call('ZREM', KEYS[1], ref)
  elseif #leased == 0 or (attempts == '0' and #leased < 2 * most and spent + chars <= budget) then
    token = token or redis.call('INCR', KEYS[3])
    local mine = string.format('%s/%s/%s/%d', job, start, chars, attempts + 1)
    redis.call('ZREM', KEYS[1], ref)
    redis.call('ZADD', KEYS[2], now + ARGV[3], mine)
    redis.call('HSET', KEYS[4], mine, ARGV[2])
    redis.call('PEXPIRE', KEYS[4], 3600000)
    redis.call('HSET', key .. ':tokens', start, token)
    redis.call('PEXPIRE', key .. ':tokens', redis.call('PTTL', key))
    if redis.call('HSETNX', key, 'started', now) == 1 then
      redis.call('HSET', key, 'status', 'running')
    end
    table.insert(leased, mine)
    table.insert(leased, payload)
    spent = spent + chars
    if attempts ~= '0' then
      break
    end
  elseif attempts == '0' then
    break
  end
end
if token then
  table.insert(leased, 1, token)
end
return leased
