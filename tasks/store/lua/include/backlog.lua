-- What waits in a queue, `model:class`, and how fast it drains, in the hash `sentiq:backlog:{queue}`:
--
--   items, cost       items that wait or are leased, and the code points that the model reads of them at most
--   left              items that have left the backlog since it began; tickets are compared with it
--   finished_at       ms: when a child last finished items
--   learned_at        ms: up to when the drain rate is learned
--   drained_items, drained_cost, drained_s
--                     items that were computed, code points that the model read, and seconds of the moments in
--                     which chunks waited that no child had leased, fading exponentially: their ratios are the
--                     drain rate
--   reserved_until    ms: until when room is reserved for refused callers, see admission.lua
--   reserved_by       owner of the last of them
--
-- include: clock counters
local backlog = {}
local FADE_S, MIN_MEASURED_S, STALL_S = 10, 0.5, 30
local ITEM_WEIGHT = 16 -- what an item costs beside its code points, in code points
local FIELDS = {
  'items', 'cost', 'left', 'finished_at', 'learned_at', 'drained_items', 'drained_cost', 'drained_s',
  'reserved_until',
}

-- Returns the fields as numbers, and `measured`: whether the drain rate is known. It is not while little was
-- finished, nor when nothing was finished for STALL_S although something waited.
function backlog.read(queue)
  local raw, read = redis.call('HMGET', keys.backlog .. queue, unpack(FIELDS)), {}
  for i, field in ipairs(FIELDS) do
    read[field] = math.max(0, tonumber(raw[i] or 0))
  end
  local stalled = read.items > 0 and now - read.finished_at >= STALL_S * 1000
  read.measured = read.drained_s >= MIN_MEASURED_S and not stalled
  return read
end

-- Returns the seconds in which the queue drains this much: by items or by cost, whichever takes longer.
function backlog.drain_seconds(read, items, cost)
  local by_items = items * read.drained_s / read.drained_items
  if read.drained_cost == 0 then
    return by_items
  end
  return math.max(by_items, cost * read.drained_s / read.drained_cost)
end

-- Returns items and their cost as one number, of which owners have shares.
function backlog.weight(items, cost)
  return ITEM_WEIGHT * items + cost
end

local function hold(queue, owner, weight)
  if owner ~= '' and redis.call('HINCRBY', keys.shares .. queue, owner, weight) <= 0 then
    redis.call('HDEL', keys.shares .. queue, owner)
  end
end

-- Counts items in. Returns the job's ticket: the value of `left` at which its first item's turn has come.
function backlog.join(job, queue, owner, items, cost)
  local key = keys.backlog .. queue
  local waiting = redis.call('HINCRBY', key, 'items', items)
  redis.call('HINCRBY', key, 'cost', cost)
  counters.increment('admitted:' .. queue, items)
  if waiting == items then
    redis.call('HSET', key, 'finished_at', now, 'learned_at', now)
  end
  redis.call('HINCRBY', keys.owners, owner, items)
  hold(queue, owner, backlog.weight(items, cost))
  redis.call('HINCRBY', job, 'cost', cost)
  local ticket = tonumber(redis.call('HGET', key, 'left') or 0) + waiting - items
  redis.call('HSETNX', job, 'ticket', ticket)
  return ticket
end

-- Learns the drain rate from what was computed while others waited that no child had leased: at any other time it
-- would learn the rate at which work arrives. What took no computing (duplicates, cached rows, texts that cannot be
-- scored) says nothing about what waits; the time that it took counts with what is computed next.
local function learn(queue, items, cost)
  local read, key = backlog.read(queue), keys.backlog .. queue
  local seconds, idle = (now - read.learned_at) / 1000, redis.call('EXISTS', keys.waiting .. queue) == 0
  redis.call('HSET', key, 'finished_at', now)
  if not idle and items == 0 and cost == 0 then
    return
  end
  redis.call('HSET', key, 'learned_at', now)
  if idle then
    return
  elseif seconds >= STALL_S then
    redis.call('HDEL', key, 'drained_items', 'drained_cost', 'drained_s')
    return
  end
  local fade = math.exp(-seconds / FADE_S)
  redis.call('HSET', key, 'drained_items', string.format('%.3f', read.drained_items * fade + items),
    'drained_cost', string.format('%.3f', read.drained_cost * fade + cost),
    'drained_s', string.format('%.6f', read.drained_s * fade + FADE_S * (1 - fade)))
end

-- Counts items out; `computed` {items, cost}: what a child computed for them, if one finished them. (`0 - n`,
-- because Lua writes a negated zero as -0, no integer.)
function backlog.leave(job, items, cost, computed)
  local record = redis.call('HMGET', job, 'queue', 'owner', 'ticket')
  local queue, owner = record[1], record[2] or ''
  if not record[3] or (items == 0 and tonumber(cost) == 0) then
    return
  end
  if computed then
    learn(queue, computed.items, computed.cost)
  end
  redis.call('HINCRBY', keys.backlog .. queue, 'items', 0 - items)
  redis.call('HINCRBY', keys.backlog .. queue, 'cost', 0 - cost)
  redis.call('HINCRBY', keys.backlog .. queue, 'left', items)
  redis.call('HINCRBY', job, 'cost', 0 - cost)
  if redis.call('HINCRBY', keys.owners, owner, 0 - items) <= 0 then
    redis.call('HDEL', keys.owners, owner)
  end
  hold(queue, owner, 0 - backlog.weight(items, cost))
end
