-- Says why a job has no record, and counts each job that is lost once.
-- include: clock counters
-- args: job_id, issued_at_ms, ttl_ms (of results, by default), clock_skew_ms (between hosts, at most)
-- Returns 'here' (there is a record after all), 'deleted', 'expired' or 'lost'.
local tombstone = keys.tombstone .. args.job_id
if redis.call('EXISTS', keys.job .. args.job_id) == 1 then
  return 'here'
end
local kept = redis.call('GET', tombstone) or args.ttl_ms
if not tonumber(kept) then
  return kept
end
local left = args.issued_at_ms + kept - args.clock_skew_ms - now
if left < 0 then
  return 'expired'
end
-- Reads go on while Redis takes no writes; the job is counted later then.
if not redis.pcall('SET', tombstone, 'lost', 'PX', left + 1).err then
  counters.increment('lost', 1)
end
return 'lost'
