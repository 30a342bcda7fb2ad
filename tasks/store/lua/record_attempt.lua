-- Writes the outcome of an attempt; what it means for the delivery counts only if no later attempt was begun.
-- KEYS: webhooks, hook, job
-- ARGV: prefix, job id, attempt, outcome, state, delay_ms
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local begun = redis.call('HMGET', KEYS[2], ARGV[3], 'attempts')
if not begun[1] then
  return 0
end
local line, outcome = cjson.decode(begun[1]), cjson.decode(ARGV[4])
if not line.duration_ms then
  account.count(ARGV[1], 'webhooks:' .. ARGV[5], 1)
end
outcome.at_ms, outcome.duration_ms = line.at_ms, now - line.at_ms
redis.call('HSET', KEYS[2], ARGV[3], cjson.encode(outcome))
if begun[2] ~= ARGV[3] then
  return 0
end
redis.call('HSET', KEYS[2], 'state', ARGV[5])
if ARGV[5] == 'pending' then
  redis.call('ZADD', KEYS[1], now + ARGV[6], ARGV[2])
  return 1
end
redis.call('ZREM', KEYS[1], ARGV[2])
-- The log is readable as long as the job is, and goes with it.
redis.call('PEXPIRE', KEYS[2], math.max(0, redis.call('PTTL', KEYS[3])))
return 1
