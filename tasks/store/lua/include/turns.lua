-- The order of the owners in a queue: start-time fair queueing. A lease moves an owner on by what it cost over the
-- owner's weight; the owner that is least far comes first. One that had nothing waiting begins where the queue is:
-- idle time earns nothing.
--
--   turns:{queue}   owners with chunks that wait, by the virtual time at which the next one starts
--   tags:{queue}    owners without, by the virtual time at which their last one ended, while that is ahead of the queue
--   `virtual` of backlog:{queue}
--                   the virtual time of the queue: that at which what was leased last started
--   weights         owner -> weight, where it is not 1
--
local turns = {}
local MIN_CHARGE = 16 -- of a chunk, in code points: texts that the model does not read take a child's time too

local function virtual_time(queue)
  return tonumber(redis.call('HGET', keys.backlog .. queue, 'virtual') or 0)
end

local function weighed(owner, cost)
  return cost / (redis.call('HGET', keys.weights, owner) or 1)
end

-- Returns what a lease of a chunk is charged.
function turns.price(cost)
  return math.max(MIN_CHARGE, cost)
end

-- Gives an owner a turn that has chunks waiting; nothing changes if it has one.
function turns.join(queue, owner)
  if redis.call('ZSCORE', keys.turns .. queue, owner) then
    return
  end
  local tag = tonumber(redis.call('ZSCORE', keys.tags .. queue, owner) or 0)
  redis.call('ZREM', keys.tags .. queue, owner)
  redis.call('ZADD', keys.turns .. queue, string.format('%.3f', math.max(virtual_time(queue), tag)), owner)
end

-- Takes the turn of an owner that has nothing left waiting.
function turns.leave(queue, owner)
  local tag, virtual = redis.call('ZSCORE', keys.turns .. queue, owner), virtual_time(queue)
  redis.call('ZREM', keys.turns .. queue, owner)
  redis.call('ZREMRANGEBYSCORE', keys.tags .. queue, '-inf', string.format('%.3f', virtual))
  if tag and tonumber(tag) > virtual then
    redis.call('ZADD', keys.tags .. queue, tag, owner)
  end
end

-- Moves an owner on by the price of what was leased.
function turns.charge(queue, owner, price)
  local start = tonumber(redis.call('ZSCORE', keys.turns .. queue, owner) or 0)
  if start > virtual_time(queue) then
    redis.call('HSET', keys.backlog .. queue, 'virtual', string.format('%.3f', start))
  end
  redis.call('ZADD', keys.turns .. queue, string.format('%.3f', start + weighed(owner, price)), owner)
end

-- Moves an owner back by the price of a chunk that was handed back and waits again, or is paused.
function turns.refund(queue, owner, price)
  for _, key in ipairs({keys.turns .. queue, keys.tags .. queue}) do
    if redis.call('ZSCORE', key, owner) then
      redis.call('ZINCRBY', key, string.format('%.3f', 0 - weighed(owner, price)), owner)
    end
  end
end

-- Gives turns to owners that programs of an earlier version have made wait, and takes those of owners that no longer
-- do.
function turns.repair(queue)
  if redis.call('ZCARD', keys.turns .. queue) == redis.call('ZCARD', keys.waiting .. queue) then
    return
  end
  for _, owner in ipairs(redis.call('ZRANGE', keys.turns .. queue, 0, -1)) do
    if not redis.call('ZSCORE', keys.waiting .. queue, owner) then
      turns.leave(queue, owner)
    end
  end
  for _, owner in ipairs(redis.call('ZRANGE', keys.waiting .. queue, 0, -1)) do
    turns.join(queue, owner)
  end
end
