-- Gives up chunks of a job that was canceled, unless a child has leased them, or of one that is overdue.
-- KEYS: job, in, out, tokens, order, kept
-- ARGV: prefix, job id, how its items end, then for each chunk: start, bytes of its payload, items, cost,
--       items that had failed before, outcomes, texts to be kept for another try, what to count as JSON
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('HMGET', KEYS[1], 'deadline', 'cancel', 'total', 'growing')
if not due[1] then
  return
end
local overdue = tonumber(due[1]) <= now or (due[2] and tonumber(due[2]) <= now)
if not overdue and not due[2] then
  return
end
local items, cost, failed = 0, 0, 0
for i = 4, #ARGV, 8 do
  local start = ARGV[i]
  -- Of the same length still: it has not been split into chunks of one item since the caller read it.
  local same = redis.call('HSTRLEN', KEYS[2], start) == tonumber(ARGV[i + 1])
  if same and (overdue or redis.call('HEXISTS', KEYS[4], start) == 0) then
    redis.call('HDEL', KEYS[2], start)
    redis.call('HDEL', KEYS[4], start)
    redis.call('HSET', KEYS[3], start, ARGV[i + 2] .. ' ' .. ARGV[i + 5])
    if due[4] or tonumber(ARGV[i + 2]) < tonumber(due[3]) then
      -- A job of one chunk needs no list of the order in which its chunks ended.
      redis.call('RPUSH', KEYS[5], start)
    end
    if ARGV[i + 6] ~= '' then
      redis.call('HSET', KEYS[6], start, ARGV[i + 6])
    end
    account.add(ARGV[1], ARGV[i + 7])
    items, cost, failed = items + ARGV[i + 2], cost + ARGV[i + 3], failed + ARGV[i + 4]
  end
end
if items == 0 then
  return
end
backlog.leave(KEYS[1], items, cost, now, false)
local left = redis.call('PTTL', KEYS[1])
for _, key in ipairs({KEYS[3], KEYS[5], KEYS[6]}) do
  redis.call('PEXPIRE', key, left)
end
redis.call('HINCRBY', KEYS[1], 'failed', failed)
redis.call('HINCRBY', KEYS[1], ARGV[3], items - failed)
conclude(ARGV[1], ARGV[2], now)
