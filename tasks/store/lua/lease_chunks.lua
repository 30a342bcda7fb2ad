-- Leases the oldest pending chunks of a class, up to a budget of code points; at least one if there is one.
-- KEYS: pending, leased, fence, leases of the worker
-- ARGV: prefix, owner pid, lease_ms, budget, least budget, sharers
-- Returns the fencing token, then ref, payload and request id of each chunk.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local PATTERN = '^(.-)/(%d+)/(%d+)/(%d+)$'
local WINDOW, MOST_WINDOWS = 128, 64
local class = string.match(KEYS[1], '([^:]+)$')

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

-- Drops chunks that are closed, or of jobs that are overdue, canceled or deleted; keeps the oldest others.
local function wanted()
  local found = {}
  for _, ref in ipairs(redis.call('ZRANGE', KEYS[1], 0, WINDOW - 1)) do
    local job, start, cost, attempts = string.match(ref, PATTERN)
    local key = ARGV[1] .. 'job:' .. job
    local record = redis.call('HMGET', key, 'deadline', 'cancel')
    local here = redis.call('HEXISTS', key .. ':in', start) == 1
    if here and not record[2] and tonumber(record[1] or 0) > now then
      table.insert(found, {ref = ref, job = job, start = start, cost = cost, attempts = attempts, key = key})
    else
      redis.call('ZREM', KEYS[1], ref)
    end
  end
  return found
end

local chunks, windows = wanted(), 1
while #chunks == 0 and windows < MOST_WINDOWS and redis.call('EXISTS', KEYS[1]) == 1 do
  chunks, windows = wanted(), windows + 1
end
-- Towards the end of the work leases get smaller, so that nobody is left with the last large one.
local waiting = 0
for _, chunk in ipairs(chunks) do
  waiting = waiting + chunk.cost
end
local budget = math.min(tonumber(ARGV[4]), math.max(tonumber(ARGV[5]), waiting / (2 * ARGV[6])))
local token, leased, spent = nil, {}, 0
-- Chunks that were started before run alone, so that a text that kills its child cannot take others along.
for _, chunk in ipairs(chunks) do
  if #leased == 0 or (chunk.attempts == '0' and spent + chunk.cost <= budget) then
    token = token or redis.call('INCR', KEYS[3])
    local mine = string.format('%s/%s/%s/%d', chunk.job, chunk.start, chunk.cost, chunk.attempts + 1)
    account.observe(ARGV[1], 'queue_s:' .. class, now - redis.call('ZSCORE', KEYS[1], chunk.ref))
    redis.call('ZREM', KEYS[1], chunk.ref)
    redis.call('ZADD', KEYS[2], now + ARGV[3], mine)
    redis.call('HSET', KEYS[4], mine, ARGV[2])
    redis.call('PEXPIRE', KEYS[4], 3600000)
    redis.call('HSET', chunk.key .. ':tokens', chunk.start, token)
    redis.call('PEXPIRE', chunk.key .. ':tokens', redis.call('PTTL', chunk.key))
    if redis.call('HSETNX', chunk.key, 'started', now) == 1 then
      redis.call('HSET', chunk.key, 'status', 'running')
      redis.call('PUBLISH', ARGV[1] .. 'progress', chunk.job)
    end
    table.insert(leased, mine)
    table.insert(leased, redis.call('HGET', chunk.key .. ':in', chunk.start))
    table.insert(leased, redis.call('HGET', chunk.key, 'request') or '')
    spent = spent + chunk.cost
    if chunk.attempts ~= '0' then
      break
    end
  elseif chunk.attempts == '0' then
    break
  end
end
if token then
  table.insert(leased, 1, token)
end
return leased
