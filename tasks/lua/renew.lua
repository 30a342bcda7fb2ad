-- Extends the leases that are still the caller's; returns how many are.
-- KEYS: leased
-- ARGV: prefix, token, lease_ms, then the refs
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = 0
for i = 4, #ARGV do
  local job, start = string.match(ARGV[i], '^(.-)/(%d+)/')
  if redis.call('HGET', ARGV[1] .. 'job:' .. job .. ':tokens', start) == ARGV[2] then
    redis.call('ZADD', KEYS[1], 'XX', now + ARGV[3], ARGV[i])
    held = held + 1
  end
end
return held
