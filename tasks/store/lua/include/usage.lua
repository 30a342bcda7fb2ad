-- What the jobs of each owner used, counted where outcomes are written, so that it is exact whatever dies.
--
--   usage:{owner}  `DAY MODEL COUNTER` -> sum; DAY is in days since the epoch, UTC
--                  `YYYY-MM MODEL COUNTER` -> sum of a month whose days were folded
--                  `all COUNTER` -> sum since the owner is known
--   usage_owners   owners by the time at which they were first counted
--
-- include: clock
local usage = {}
local DAY_MS = 86400000

-- Adds counts by name to those of an owner and the model of a queue.
function usage.add(owner, queue, counts)
  local key, day = keys.usage .. owner, string.format('%.0f', math.floor(now / DAY_MS))
  local model = string.match(queue, '^[^:]*')
  for name, by in pairs(counts) do
    redis.call('HINCRBY', key, day .. ' ' .. model .. ' ' .. name, by)
    redis.call('HINCRBY', key, 'all ' .. name, by)
  end
  redis.call('ZADD', keys.usage_owners, 'NX', now, owner)
end
