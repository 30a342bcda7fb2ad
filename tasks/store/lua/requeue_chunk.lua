-- Makes a chunk whose child is gone pending again, as the chunks it was split into.
-- KEYS: in, tokens, leased, pending, leases of the worker
-- ARGV: prefix, start, ref, guard, then start, ref, payload for each new chunk
-- Returns 1 when done, 0 when its child finished it or still renews it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease_until = redis.call('ZSCORE', KEYS[3], ARGV[3])
if not lease_until or (ARGV[4] ~= 'dead' and tonumber(lease_until) > now) then
  return 0
end
redis.call('ZREM', KEYS[3], ARGV[3])
redis.call('HDEL', KEYS[5], ARGV[3])
redis.call('HDEL', KEYS[2], ARGV[2])
if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 0 then
  return 0
end
account.count(ARGV[1], 'requeued:' .. ARGV[4], 1)
for i = 5, #ARGV, 3 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
  -- At the tail: what others wait for does not wait for a second try.
  redis.call('ZADD', KEYS[4], now, ARGV[i + 1])
end
return 1
