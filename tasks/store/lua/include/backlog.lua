-- What waits in a queue, `model:class`, and how fast it drains, in the hash `sentiq:backlog:{queue}`:
--
--   items, cost       items that wait or are leased, and the code points that the model reads of them at most
--   left              items that have left the backlog since it began
--   deferred          items that are no part of it until their time comes, see deferred.lua
--   paused, paused_cost
--                     items that are no part of it while they are paused, see pauses.lua, and their cost
--   finished_at       ms: when a child last finished items
--   learned_at        ms: up to when the drain rate is learned
--   drained_items, drained_cost, drained_s
--                     items that were computed, code points that the model read, and seconds of the moments in
--                     which chunks waited that no child had leased, fading exponentially: their ratios are the
--                     drain rate
--
-- What each owner has of it, its line:
--
--   shares:{queue}    owner -> what it has waiting or leased, items and cost as one number
--   lines:{queue}     `items:{owner}` -> its items there; `left:{owner}` -> those that have left its line since that
--                     began; the field `place` of a job is compared with it
--
-- include: clock counters pauses
local backlog = {}
local FADE_S, MIN_MEASURED_S, STALL_S = 10, 0.5, 30
local ITEM_WEIGHT = 16 -- what an item costs beside its code points, in code points
local FIELDS = {
  'items', 'cost', 'left', 'deferred', 'paused', 'finished_at', 'learned_at', 'drained_items', 'drained_cost',
  'drained_s',
}

-- Returns the fields as numbers, and whether the drain rate is known: `measured`. It is not while little was
-- finished, nor when nothing was finished for STALL_S although something waited. `fresh`: it is no older than that.
function backlog.read(queue)
  local raw, read = redis.call('HMGET', keys.backlog .. queue, unpack(FIELDS)), {}
  for i, field in ipairs(FIELDS) do
    read[field] = math.max(0, tonumber(raw[i] or 0))
  end
  read.fresh = now - read.finished_at < STALL_S * 1000
  read.measured = read.drained_s >= MIN_MEASURED_S and (read.fresh or read.items == 0)
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

-- Returns the part of a queue that an owner gets while all go on that have something there.
local function share_of(queue, owner)
  local shares = keys.shares .. queue
  local all, own = redis.call('HLEN', shares), redis.call('HGET', keys.weights, owner) or 1
  -- Of both lists the shorter one is read: there may be many keys with weights, or many owners.
  local listed = redis.call('HKEYS', redis.call('HLEN', keys.weights) <= all and keys.weights or shares)
  for _, other in ipairs(listed) do
    if other ~= owner and redis.call('HEXISTS', shares, other) == 1 then
      all = all + (redis.call('HGET', keys.weights, other) or 1) - 1
    end
  end
  return own / (all + own - redis.call('HEXISTS', shares, owner))
end

-- Returns an owner's line: items, cost, and its share of the queue.
function backlog.line(queue, owner)
  local items = math.max(0, tonumber(redis.call('HGET', keys.lines .. queue, 'items:' .. owner) or 0))
  local held = tonumber(redis.call('HGET', keys.shares .. queue, owner) or 0)
  return {items = items, cost = math.max(0, held - ITEM_WEIGHT * items), share = share_of(queue, owner)}
end

-- Returns the seconds in which an owner's line is done with this much more: by its share, or with all that waits if
-- that is sooner.
function backlog.wait_seconds(read, line, items, cost)
  local all = backlog.drain_seconds(read, read.items + items, read.cost + cost)
  -- A single owner has all that waits, even what was counted before there were lines.
  if line.share == 1 then
    return all
  end
  return math.min(all, backlog.drain_seconds(read, line.items + items, line.cost + cost) / line.share)
end

-- Returns the keys and fields that count lines in a queue: those that are parked have their own.
local function books_of(queue, parked)
  if parked then
    return {
      items = 'paused', cost = 'paused_cost', shares = keys.parked_shares .. queue, lines = keys.parked_lines .. queue,
    }
  end
  return {items = 'items', cost = 'cost', shares = keys.shares .. queue, lines = keys.lines .. queue}
end

-- Adds items and cost to what waits, or subtracts them. Returns how many items are there then.
local function change(queue, books, items, cost)
  local key = keys.backlog .. queue
  local waiting = redis.call('HINCRBY', key, books.items, items)
  redis.call('HINCRBY', key, books.cost, cost)
  if waiting == items and books.items == 'items' then
    redis.call('HSET', key, 'finished_at', now, 'learned_at', now)
  end
end

local function change_share(books, owner, items, cost)
  if redis.call('HINCRBY', books.shares, owner, ITEM_WEIGHT * items + cost) <= 0 then
    redis.call('HDEL', books.shares, owner)
  end
end

local function change_line(books, owner, items)
  if redis.call('HINCRBY', books.lines, 'items:' .. owner, items) <= 0 then
    redis.call('HDEL', books.lines, 'items:' .. owner, 'left:' .. owner)
  elseif items < 0 then
    redis.call('HINCRBY', books.lines, 'left:' .. owner, 0 - items)
  end
end

-- Moves the line of an owner to those that are parked, or back.
function backlog.move(queue, owner, parked)
  local from, to = books_of(queue, not parked), books_of(queue, parked)
  local line = redis.call('HMGET', from.lines, 'items:' .. owner, 'left:' .. owner)
  local items, share = tonumber(line[1] or 0), tonumber(redis.call('HGET', from.shares, owner) or 0)
  if items == 0 then
    return
  end
  local cost = math.max(0, share - ITEM_WEIGHT * items)
  redis.call('HDEL', from.lines, 'items:' .. owner, 'left:' .. owner)
  redis.call('HDEL', from.shares, owner)
  change(queue, from, 0 - items, 0 - cost)
  redis.call('HSET', to.lines, 'items:' .. owner, items, 'left:' .. owner, line[2] or 0)
  change_share(to, owner, items, cost)
  change(queue, to, items, cost)
end

local function accept(job, queue, owner, items, cost)
  counters.increment('admitted:' .. queue, items)
  redis.call('HINCRBY', keys.owners, owner, items)
  redis.call('HINCRBY', job, 'cost', cost)
end

-- Counts items of an accepted job in. Returns the job's place: the value of its line's `left` at which its first item's
-- turn has come.
function backlog.enter(job, queue, owner, items, cost)
  local books = books_of(queue, pauses.parks(queue, owner))
  change(queue, books, items, cost)
  local line = redis.call('HMGET', books.lines, 'items:' .. owner, 'left:' .. owner)
  local place = (line[1] or 0) + (line[2] or 0)
  change_share(books, owner, items, cost)
  change_line(books, owner, items)
  -- Where a line begins anew, so does the place of an upload whose earlier items have left it.
  redis.call(line[1] and 'HSETNX' or 'HSET', job, 'place', string.format('%.0f', place))
  return place
end

-- Counts new items in. Returns the job's place.
function backlog.join(job, queue, owner, items, cost)
  accept(job, queue, owner, items, cost)
  return backlog.enter(job, queue, owner, items, cost)
end

-- Counts new items of a job whose time has not come.
function backlog.defer(job, queue, owner, items, cost)
  accept(job, queue, owner, items, cost)
  redis.call('HINCRBY', keys.backlog .. queue, 'deferred', items)
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
  local record = redis.call('HMGET', job, 'queue', 'owner', 'place', 'ticket')
  local queue, owner = record[1], record[2] or ''
  if not queue or (items == 0 and tonumber(cost) == 0) then
    return
  end
  redis.call('HINCRBY', job, 'cost', 0 - cost)
  if redis.call('HINCRBY', keys.owners, owner, 0 - items) <= 0 then
    redis.call('HDEL', keys.owners, owner)
  end
  -- An earlier version of the program wrote `ticket`, and knew no lines.
  if not (record[3] or record[4]) then
    redis.call('HINCRBY', keys.backlog .. queue, 'deferred', 0 - items)
    return
  end
  if computed then
    learn(queue, computed.items, computed.cost)
  end
  local books = books_of(queue, pauses.parks(queue, owner))
  change(queue, books, 0 - items, 0 - cost)
  redis.call('HINCRBY', keys.backlog .. queue, 'left', items)
  change_share(books, owner, 0 - items, 0 - cost)
  if record[3] then
    change_line(books, owner, 0 - items)
  end
end
