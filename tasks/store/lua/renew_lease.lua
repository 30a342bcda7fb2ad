-- Extends the leases that are still the caller's.
-- KEYS: leased
-- ARGV: prefix, token, lease_ms, then the refs
-- Returns how many are, and how many of these belong to canceled jobs.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held, canceled = 0, 0
for i = 4, #ARGV do
  local id, start = string.match(ARGV[i], '^(.-)/(%d+)/')
  local job = ARGV[1] .. 'job:' .. id
  if redis.call('HGET', job .. ':tokens', start) == ARGV[2] then
    redis.call('ZADD', KEYS[1], 'XX', now + ARGV[3], ARGV[i])
    held = held + 1
    if redis.call('HEXISTS', job, 'cancel') == 1 then
      canceled = canceled + 1
    end
  end
end
return {held, canceled}
