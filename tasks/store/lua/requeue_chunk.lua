-- Makes a chunk whose child is gone pending again, as the chunks of one item that it was split into.
-- include: clock attachments counters kept pending
-- args: job_id, queue, worker, start, ref, guard (see complete_chunk.lua), parts (start and ref of each, payloads
--       follow)
-- Returns 1 when its parts are pending, 0 when its child has finished it or still renews its lease.
local job, leased = keys.job .. args.job_id, keys.leased .. args.queue
local owner = redis.call('HGET', job, 'owner') or ''
local lease_until = redis.call('ZSCORE', leased, args.ref)
if not lease_until then
  -- A call whose answer got lost has done it, or another process.
  return pending.has(args.queue, owner, args.parts)
elseif args.guard ~= 'dead' and tonumber(lease_until) > now then
  return 0
end
redis.call('ZREM', leased, args.ref)
redis.call('HDEL', keys.leases .. args.worker, args.ref)
redis.call('HDEL', job .. ':tokens', args.start)
if redis.call('HEXISTS', job .. ':chunks', args.start) == 0 then
  return 0
end
counters.increment('requeued:' .. args.guard, 1)
kept.replace_chunk(args.job_id, args.start, #args.parts)
attachments.split(job, args.start, args.parts)
for i, part in ipairs(args.parts) do
  redis.call('HSET', job .. ':chunks', part[1], payload(i))
end
-- At the tail: what others wait for does not wait for a second attempt.
pending.add(args.queue, owner, now, args.parts)
return 1
