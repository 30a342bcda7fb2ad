-- The chunks that no child has leased. Each owner has a sorted set of its own in a queue, `model:class`:
--
--   pending:{queue}:{owner}   refs by time of arrival
--   waiting:{queue}           owners that have any, by the arrival of their oldest
--
-- In which order owners have their turn: turns.lua. What is paused waits elsewhere: pauses.lua.
-- include: clock pauses ref turns
local pending = {}

function pending.key(queue, owner)
  return keys.pending .. queue .. ':' .. owner
end

-- Looks at some refs, and drops those of jobs that have ended: no lease comes across them while they are paused. With
-- two looks for each ref that comes, an owner who submits and deletes leaves few behind.
local function drop_ended(key, looks)
  for _, text in ipairs(redis.call('ZRANDMEMBER', key, looks)) do
    local chunk = ref.parse(text)
    if redis.call('HEXISTS', chunk.job .. ':chunks', chunk.start) == 0 then
      redis.call('ZREM', key, text)
    end
  end
end

-- Adds chunks, of which each is {start, ref}. `waits_since` says since when they wait, if that is later.
function pending.add(queue, owner, since, chunks, waits_since)
  local key = pending.key(queue, owner)
  for i, chunk in ipairs(chunks) do
    -- The fraction keeps chunks in input order.
    redis.call('ZADD', key, string.format('%.3f', since + i / 1000), chunk[2])
  end
  local parked = pauses.parks(queue, owner)
  local owners = (parked and keys.parked or keys.waiting) .. queue
  redis.call('ZADD', owners, 'LT', string.format('%.3f', math.max(since, waits_since or 0) + 0.001), owner)
  if parked then
    drop_ended(key, 2 * #chunks)
  else
    turns.join(queue, owner)
  end
end

-- Returns 1 when the last of these chunks is pending, else 0.
function pending.has(queue, owner, chunks)
  return redis.call('ZSCORE', pending.key(queue, owner), chunks[#chunks][2]) and 1 or 0
end

-- Orders an owner by its oldest chunk, after some were removed.
function pending.reorder(queue, owner)
  local oldest = redis.call('ZRANGE', pending.key(queue, owner), 0, 0, 'WITHSCORES')[2]
  if oldest then
    -- `GT`: what was paused waits since it was resumed.
    redis.call('ZADD', keys.waiting .. queue, 'GT', oldest, owner)
  else
    redis.call('ZREM', keys.waiting .. queue, owner)
    turns.leave(queue, owner)
  end
end

-- Moves an owner aside that is paused.
function pending.park(queue, owner)
  local oldest = redis.call('ZSCORE', keys.waiting .. queue, owner)
  if oldest then
    redis.call('ZADD', keys.parked .. queue, oldest, owner)
    redis.call('ZREM', keys.waiting .. queue, owner)
    turns.leave(queue, owner)
  end
end

-- Has an owner wait again that is no longer paused, as if it came now. Returns how many chunks it has.
function pending.unpark(queue, owner)
  local chunks = redis.call('ZREM', keys.parked .. queue, owner) == 1
    and redis.call('ZCARD', pending.key(queue, owner)) or 0
  if chunks > 0 then
    redis.call('ZADD', keys.waiting .. queue, now, owner)
    turns.join(queue, owner)
  end
  return chunks
end
