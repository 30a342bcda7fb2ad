-- Erases a job with its texts and results, and leaves a tombstone that tells of it.
-- KEYS: job, tombstone, open, uploads, jobs of the owner
-- ARGV: prefix, job id, tombstone_ms
-- Returns 1 when done, 0 when there is no record.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
local job = KEYS[1]
local time = redis.call('TIME')
backlog.forget(job, time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('UNLINK', job, job .. ':in', job .. ':out', job .. ':tokens', job .. ':order', job .. ':kept')
redis.call('SET', KEYS[2], 'deleted', 'PX', ARGV[3])
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('ZREM', KEYS[4], ARGV[2])
redis.call('ZREM', KEYS[5], ARGV[2])
redis.call('PUBLISH', ARGV[1] .. 'finished', ARGV[2])
return 1
