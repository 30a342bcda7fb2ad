-- Adds chunks to a job that still grows.
-- KEYS: job, in, pending, uploads, idempotency key
-- ARGV: job id, items, silence_ms, cost, then start, ref, payload for each chunk
-- Returns 1, or 0 when the job does not grow any more: sealed, canceled, overdue or deleted.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local job = redis.call('HMGET', KEYS[1], 'growing', 'deadline')
if not job[1] or tonumber(job[2]) <= now then
  return 0
end
redis.call('HINCRBY', KEYS[1], 'total', ARGV[2])
backlog.grow(KEYS[1], ARGV[2], ARGV[4], now)
for i = 5, #ARGV, 3 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])
  redis.call('ZADD', KEYS[3], string.format('%.3f', now + i / 3000), ARGV[i + 1])
end
redis.call('PEXPIRE', KEYS[2], redis.call('PTTL', KEYS[1]))
redis.call('ZADD', KEYS[4], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[5], ARGV[3])
return 1
