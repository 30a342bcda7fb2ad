-- Tells what became of a job without a record, and counts each that is lost once.
-- KEYS: job, tombstone, counters
-- ARGV: when the id was minted, keep_ms by default, how far clocks may differ
-- Returns 'here' (after all), 'deleted', 'expired' or 'lost'.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 'here'
end
local tombstone = redis.call('GET', KEYS[2]) or ARGV[2]
if not tonumber(tombstone) then
  return tombstone
end
local left = ARGV[1] + tombstone - ARGV[3] - now
if left < 0 then
  return 'expired'
end
redis.call('SET', KEYS[2], 'lost', 'PX', left + 1)
redis.call('HINCRBY', KEYS[3], 'lost', 1)
return 'lost'
