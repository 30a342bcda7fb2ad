-- Writes the outcomes of a chunk, counts them and ends the job when it was the last: the first writer wins.
-- KEYS: job, in, out, tokens, leased, leases of the worker
-- ARGV: prefix, job id, start, ref, guard, token, items, payload, succeeded, failed, timed out, canceled, model,
--       texts to be kept for another try, what to count once it is written as JSON
-- Returns 1 when written, 0 when the chunk was no longer the caller's.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local prefix, id, start, ref, guard = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local function entitled()
  if guard == 'token' then
    return redis.call('HGET', KEYS[4], start) == ARGV[6]
  end
  local lease_until = redis.call('ZSCORE', KEYS[5], ref)
  return lease_until and (guard == 'dead' or tonumber(lease_until) <= now)
end

if redis.call('EXISTS', KEYS[1]) == 0 or not entitled() then
  return 0
end
redis.call('ZREM', KEYS[5], ref)
redis.call('HDEL', KEYS[6], ref)
redis.call('HDEL', KEYS[4], start)
if redis.call('HDEL', KEYS[2], start) == 0 then
  return 0
end
backlog.leave(KEYS[1], ARGV[7], string.match(ref, '/(%d+)/%d+$'), now, guard == 'token')
local left = redis.call('PTTL', KEYS[1])
redis.call('HSET', KEYS[3], start, ARGV[7] .. ' ' .. ARGV[8])
redis.call('PEXPIRE', KEYS[3], left)
local job = redis.call('HMGET', KEYS[1], 'total', 'growing')
if job[2] or tonumber(ARGV[7]) < tonumber(job[1]) then
  -- A job of one chunk needs no list of the order in which its chunks ended.
  redis.call('RPUSH', KEYS[1] .. ':order', start)
  redis.call('PEXPIRE', KEYS[1] .. ':order', left)
end
if ARGV[14] ~= '' then
  redis.call('HSET', KEYS[1] .. ':kept', start, ARGV[14])
  redis.call('PEXPIRE', KEYS[1] .. ':kept', left)
end
if ARGV[13] ~= '' then
  redis.call('HSETNX', KEYS[1], 'model', ARGV[13])
end
for i, count in ipairs({'succeeded', 'failed', 'timed_out', 'canceled'}) do
  if ARGV[8 + i] ~= '0' then
    redis.call('HINCRBY', KEYS[1], count, ARGV[8 + i])
  end
end
account.add(prefix, ARGV[15])
conclude(prefix, id, now)
return 1
