-- Takes an idempotency key for a job that is not recorded yet.
-- KEYS: idempotency key
-- ARGV: value, silence_ms
-- Returns what is remembered of the key when another job has it, else nothing.
local known = redis.call('GET', KEYS[1])
if known then
  return known
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
