-- The chunks that no child has leased. Each owner has a sorted set of its own in a queue, `model:class`:
--
--   pending:{queue}:{owner}   refs by time of arrival
--   waiting:{queue}           owners that have any, by the arrival of their oldest
--
-- In which order owners have their turn: turns.lua.
-- include: turns
local pending = {}

function pending.key(queue, owner)
  return keys.pending .. queue .. ':' .. owner
end

-- Adds chunks, of which each is {start, ref}.
function pending.add(queue, owner, since, chunks)
  local key = pending.key(queue, owner)
  for i, chunk in ipairs(chunks) do
    -- The fraction keeps chunks in input order.
    redis.call('ZADD', key, string.format('%.3f', since + i / 1000), chunk[2])
  end
  redis.call('ZADD', keys.waiting .. queue, 'LT', string.format('%.3f', since + 0.001), owner)
  turns.join(queue, owner)
end

-- Returns 1 when the last of these chunks is pending, else 0.
function pending.has(queue, owner, chunks)
  return redis.call('ZSCORE', pending.key(queue, owner), chunks[#chunks][2]) and 1 or 0
end

-- Orders an owner by its oldest chunk, after some were removed.
function pending.reorder(queue, owner)
  local oldest = redis.call('ZRANGE', pending.key(queue, owner), 0, 0, 'WITHSCORES')[2]
  if oldest then
    redis.call('ZADD', keys.waiting .. queue, oldest, owner)
  else
    redis.call('ZREM', keys.waiting .. queue, owner)
    turns.leave(queue, owner)
  end
end
