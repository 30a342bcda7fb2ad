-- Writes the outcomes of a chunk, counts them and closes the job when it was the last: the first writer wins.
-- KEYS: job, in, out, tokens, open, leased, leases of the worker
-- ARGV: job id, start, ref, guard, token, items, payload, succeeded, failed, timed out, model, channel, payload to be closed
-- Returns 1 when written, 0 when the chunk was no longer the caller's.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local start, ref, guard = ARGV[2], ARGV[3], ARGV[4]

local function entitled()
  if guard == 'token' then
    return redis.call('HGET', KEYS[4], start) == ARGV[5]
  elseif guard == 'overdue' then
    -- Its items must not have become other chunks since the caller read them.
    return tonumber(redis.call('HGET', KEYS[1], 'deadline') or now + 1) <= now
      and redis.call('HGET', KEYS[2], start) == ARGV[13]
  end
  local lease_until = redis.call('ZSCORE', KEYS[6], ref)
  return lease_until and (guard == 'dead' or tonumber(lease_until) <= now)
end

if not entitled() then
  return 0
end
redis.call('ZREM', KEYS[6], ref)
redis.call('HDEL', KEYS[7], ref)
redis.call('HDEL', KEYS[4], start)
if redis.call('HDEL', KEYS[2], start) == 0 then
  return 0
end
redis.call('HSET', KEYS[3], start, ARGV[6] .. ' ' .. ARGV[7])
redis.call('PEXPIRE', KEYS[3], redis.call('PTTL', KEYS[1]))
if ARGV[11] ~= '' then
  redis.call('HSETNX', KEYS[1], 'model', ARGV[11])
end
local succeeded = redis.call('HINCRBY', KEYS[1], 'succeeded', ARGV[8])
local failed = redis.call('HINCRBY', KEYS[1], 'failed', ARGV[9])
local timed_out = redis.call('HINCRBY', KEYS[1], 'timed_out', ARGV[10])
local job = redis.call('HMGET', KEYS[1], 'total', 'keep')
local total = tonumber(job[1])
if succeeded + failed + timed_out < total then
  return 1
end
local status = 'partial'
if timed_out > 0 then
  status = 'timed_out'
elseif succeeded == total then
  status = 'succeeded'
elseif succeeded == 0 then
  status = 'failed'
end
local expires = now + job[2]
redis.call('HSET', KEYS[1], 'status', status, 'finished', now, 'expires', expires)
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('DEL', KEYS[2], KEYS[4])
redis.call('PEXPIREAT', KEYS[1], expires)
redis.call('PEXPIREAT', KEYS[3], expires)
redis.call('PUBLISH', ARGV[12], ARGV[1])
return 1
