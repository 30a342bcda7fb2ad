-- Ends the growth of a job; it is over with the last of the items that it has.
-- KEYS: job, uploads, idempotency key
-- ARGV: prefix, job id, guard, error or '', hash of the body or '', memory_ms of the idempotency key
-- Returns 1 when done, 0 when the job does not grow, or grows on.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[3] == 'silent' then
  local silent = redis.call('ZSCORE', KEYS[2], ARGV[2])
  local overdue = tonumber(redis.call('HGET', KEYS[1], 'deadline') or 0) <= now
  if not silent or (tonumber(silent) > now and not overdue) then
    return 0
  end
end
if ARGV[5] ~= '' then
  redis.call('SET', KEYS[3], ARGV[5] .. ' ' .. ARGV[2], 'PX', ARGV[6])
elseif redis.call('GET', KEYS[3]) == 'open ' .. ARGV[2] then
  redis.call('DEL', KEYS[3])
end
redis.call('ZREM', KEYS[2], ARGV[2])
if redis.call('HDEL', KEYS[1], 'growing') == 0 then
  return 0
end
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'error', ARGV[4])
end
conclude(ARGV[1], ARGV[2], now)
return 1
