-- Records a job with all its chunks before anything is published. Writing it twice is harmless.
-- KEYS: job, in, open, pending
-- ARGV: job id, class, total, deadline_ms, keep_ms, options, then start, ref, payload for each chunk
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('EXISTS', KEYS[1]) == 1 then
  return now
end
local deadline = now + ARGV[4]
redis.call('HSET', KEYS[1], 'status', 'queued', 'class', ARGV[2], 'total', ARGV[3],
  'created', now, 'deadline', deadline, 'keep', ARGV[5])
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'options', ARGV[6])
end
for i = 7, #ARGV, 3 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])
  -- The fraction keeps a job's chunks in input order.
  redis.call('ZADD', KEYS[4], string.format('%.3f', now + i / 3000), ARGV[i + 1])
end
redis.call('ZADD', KEYS[3], deadline, ARGV[1])
-- Outlives the deadline by as long as results are kept, so that nothing stays for ever whatever dies.
redis.call('PEXPIREAT', KEYS[1], deadline + ARGV[5])
redis.call('PEXPIREAT', KEYS[2], deadline + ARGV[5])
return now
