-- Takes an idempotency key for an upload whose job is not recorded yet.
-- args: key, value, ttl_ms
-- Returns what the key holds when another job has it, else nothing.
local known = redis.call('GET', args.key)
if known then
  -- Its own mark: this call has run before.
  return known ~= args.value and known
end
redis.call('SET', args.key, args.value, 'PX', args.ttl_ms)
return false
