-- Writes the outcomes of a chunk and counts them; finishes the job with its last chunk. The first writer wins.
-- include: clock backlog conclude outcome
-- args: job_id, queue, worker, ref, guard, token, chunk {start, items, cost, counters, model (that scored,
--       or ''), tallies, aspects, usage}, counts (items by outcome), model (JSON, if one scored), computed {items,
--       cost} (if the holder of the lease finished it); payloads: results, texts worth a retry or ''
-- `guard` says why the caller may write: `token` (it holds the lease), `lapsed` (the lease has ended), `dead` (its
-- child has died).
-- Returns 1 when these outcomes are stored, by this call or by one whose answer got lost; 0 when the chunk was no
-- longer the caller's.
local job, start = keys.job .. args.job_id, args.chunk.start
local leased, leases = keys.leased .. args.queue, keys.leases .. args.worker

local function entitled()
  if args.guard == 'token' then
    return redis.call('HGET', job .. ':tokens', start) == tostring(args.token)
  end
  local lease_until = redis.call('ZSCORE', leased, args.ref)
  return lease_until and (args.guard == 'dead' or tonumber(lease_until) <= now)
end

local results = string.format('%d %s', args.chunk.items, payload(1))
if redis.call('EXISTS', job) == 0 or not entitled() then
  return redis.call('HGET', job .. ':results', start) == results and 1 or 0
end
redis.call('ZREM', leased, args.ref)
redis.call('HDEL', leases, args.ref)
if redis.call('HEXISTS', job .. ':chunks', start) == 0 then
  redis.call('HDEL', job .. ':tokens', start)
  return 0
end
backlog.leave(job, args.chunk.items, args.chunk.cost, args.computed)
write_outcome(job, args.chunk, results, payload(2))
if args.model then
  redis.call('HSETNX', job, 'model', args.model)
end
for status, count in pairs(args.counts) do
  if count > 0 then
    redis.call('HINCRBY', job, status, count)
  end
end
conclude(args.job_id)
return 1
