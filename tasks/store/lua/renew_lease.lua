-- Renews a lease: extends it for the chunks that are still the caller's.
-- include: clock ref wakeups
-- args: queue, token, lease_ms, refs, child (`worker pid`)
-- Returns how many chunks those are, and how many of them belong to canceled jobs.
local held, canceled = 0, 0
for _, text in ipairs(args.refs) do
  local chunk = ref.parse(text)
  if redis.call('HGET', chunk.job .. ':tokens', chunk.start) == tostring(args.token) then
    redis.call('ZADD', keys.leased .. args.queue, 'XX', now + args.lease_ms, text)
    held = held + 1
    canceled = canceled + redis.call('HEXISTS', chunk.job, 'cancel')
  end
end
if held > 0 then
  wakeups.stay(string.match(args.queue, '^[^:]*'), args.child)
end
return {held, canceled}
