-- Cancels a job: nothing of it is leased any more, and what is leased is closed after `grace_ms`.
-- KEYS: job, open, uploads
-- ARGV: prefix, job id, grace_ms
-- Returns 1 when the job is being canceled, 0 when it is over or not there.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local job = redis.call('HMGET', KEYS[1], 'status', 'cancel', 'finished')
if not job[1] or job[3] then
  return 0
end
if not job[2] or tonumber(job[2]) > now + ARGV[3] then
  redis.call('HSET', KEYS[1], 'status', 'canceling', 'cancel', now + ARGV[3])
  redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[2])
  redis.call('ZREM', KEYS[3], ARGV[2])
  if redis.call('HDEL', KEYS[1], 'growing') == 1 then
    redis.call('HSET', KEYS[1], 'error', 'upload_incomplete')
  end
  conclude(ARGV[1], ARGV[2], now)
end
return 1
