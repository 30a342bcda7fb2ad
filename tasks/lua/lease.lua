-- Leases the oldest pending chunks of a class, up to a budget of code points; at least one if there is one.
-- KEYS: pending, leased, fence, leases of the worker
-- ARGV: prefix, owner pid, lease_ms, budget, least budget, sharers
-- Returns the fencing token, then ref and payload of each chunk.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local PATTERN = '^(.-)/(%d+)/(%d+)/(%d+)$'

-- A child holds one lease at a time: what is still its own was leased by a call whose answer it never got.
local held = redis.call('HGETALL', KEYS[4])
for i = 1, #held, 2 do
  if held[i + 1] == ARGV[2] then
    local job, start, cost, attempts = string.match(held[i], PATTERN)
    if redis.call('ZREM', KEYS[2], held[i]) == 1 then
      redis.call('ZADD', KEYS[1], now, string.format('%s/%s/%s/%d', job, start, cost, attempts - 1))
      redis.call('HDEL', ARGV[1] .. 'job:' .. job .. ':tokens', start)
    end
    redis.call('HDEL', KEYS[4], held[i])
  end
end

-- Towards the end of the work leases get smaller, so that nobody is left with the last large one.
local refs, waiting = redis.call('ZRANGE', KEYS[1], 0, 127), 0
for _, ref in ipairs(refs) do
  local _, _, cost = string.match(ref, PATTERN)
  waiting = waiting + cost
end
local budget = math.min(tonumber(ARGV[4]), math.max(tonumber(ARGV[5]), waiting / (2 * ARGV[6])))
local token, leased, spent = nil, {}, 0
-- Chunks that were started before run alone, so that a text that kills its child cannot take others along.
for _, ref in ipairs(refs) do
  local job, start, cost, attempts = string.match(ref, PATTERN)
  local key = ARGV[1] .. 'job:' .. job
  local payload = redis.call('HGET', key .. ':in', start)
  local deadline = tonumber(redis.call('HGET', key, 'deadline') or 0)
  if not payload or deadline <= now then
    redis.call('ZREM', KEYS[1], ref)
  elseif #leased == 0 or (attempts == '0' and spent + cost <= budget) then
    token = token or redis.call('INCR', KEYS[3])
    local mine = string.format('%s/%s/%s/%d', job, start, cost, attempts + 1)
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
    spent = spent + cost
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
