-- The wake-ups of a model that are out: those that are published and that no child has taken, and the children that are
-- awake, which lease again until nothing waits. Chunks that come in need another wake-up only while fewer are out than
-- children are ready: some child that is awake, or will be, leases after them.
--
--   published:{model}  wake-ups that no child has taken, by the ms at which they count as lost
--   awake:{model}      children, `worker pid`, by the ms until which they count as awake
--   ready:{model}      how many children can score, as the reconciler that leads counts them
--
-- Each entry ends by itself: what is lost or dies is not out for long, and one wake-up too many is harmless.
-- include: clock
local wakeups = {}
local LOST_MS, AWAKE_MS = 3000, 5000

local function count(key)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  return redis.call('ZCARD', key)
end

-- Returns how many wake-ups to publish for `chunks` chunks that came in, and counts them as out. A repeated call of the
-- same `name` gets the same answer, unless children have taken them.
function wakeups.due(model, chunks, name)
  local published, due = keys.published .. model, 0
  while due < chunks and redis.call('ZSCORE', published, name .. ' ' .. due + 1) do
    due = due + 1
  end
  if due > 0 then
    return due
  end
  -- Those in Celery's queue are not lost, however long they wait there.
  local out = math.max(count(published), redis.call('LLEN', keys.wakeups .. model)) + count(keys.awake .. model)
  local ready = math.max(1, tonumber(redis.call('GET', keys.ready .. model) or 1))
  due = math.max(0, math.min(chunks, ready - out))
  for number = 1, due do
    redis.call('ZADD', published, now + LOST_MS, name .. ' ' .. number)
  end
  redis.call('PEXPIRE', published, LOST_MS)
  return due
end

-- Notes that a child is still at its lease, after which it leases again.
function wakeups.stay(model, child)
  redis.call('ZADD', keys.awake .. model, now + AWAKE_MS, child)
  redis.call('PEXPIRE', keys.awake .. model, AWAKE_MS)
end

-- Notes that a child leases: `woken` by a wake-up, which it has taken; `found` something, so that it will lease again.
function wakeups.note(model, child, woken, found)
  if woken then
    redis.call('ZREMRANGEBYSCORE', keys.published .. model, '-inf', now)
    redis.call('ZPOPMIN', keys.published .. model)
  end
  if found then
    wakeups.stay(model, child)
  else
    redis.call('ZREM', keys.awake .. model, child)
  end
end

-- Notes that a child leases no more, though something may wait.
function wakeups.leave(model, child)
  redis.call('ZREM', keys.awake .. model, child)
end
