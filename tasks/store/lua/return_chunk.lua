-- Makes a leased chunk pending again that its child does not score: whole, or as the chunks that it was split into.
-- include: clock attachments counters kept pending ref turns
-- args: job_id, queue, worker, start, ref, token, reason (counted), ahead (before what arrived later than its job, and
--       its owner is refunded), parts (start and ref of each; payloads follow if it was split)
-- Returns 1 when its parts are pending, 0 when the chunk was no longer the caller's.
local job = keys.job .. args.job_id
local owner = redis.call('HGET', job, 'owner') or ''
if redis.call('HGET', job .. ':tokens', args.start) ~= tostring(args.token) then
  -- A call whose answer got lost has done it, or the lease has ended.
  return pending.has(args.queue, owner, args.parts)
end
redis.call('HDEL', job .. ':tokens', args.start)
redis.call('ZREM', keys.leased .. args.queue, args.ref)
redis.call('HDEL', keys.leases .. args.worker, args.ref)
if redis.call('HEXISTS', job .. ':chunks', args.start) == 0 then
  return 0
end
counters.increment('returned:' .. args.reason, 1)
local times = redis.call('HMGET', job, 'created', 'not_before', 'resumed_at')
local since = args.ahead and math.min(now, math.max(times[1] or now, times[2] or 0)) or now
if payload(1) then
  kept.replace_chunk(args.job_id, args.start, #args.parts)
  attachments.split(job, args.start, args.parts)
end
for i, part in ipairs(args.parts) do
  if payload(i) then
    redis.call('HSET', job .. ':chunks', part[1], payload(i))
  end
end
pending.add(args.queue, owner, since, args.parts, tonumber(times[3] or 0))
if args.ahead then
  turns.refund(args.queue, owner, turns.price(ref.parse(args.ref).cost))
end
return 1
