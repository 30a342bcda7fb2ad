-- Put before the scripts that change what waits, or tell of it.
-- The queue of a class is a hash: `items` and `cost` that wait or are leased, `left` items that were and are not
-- any more, `mark` when a child last finished some, `done_items`, `done_cost` in `done_s` seconds in which more
-- waited than children could lease, all three fading; `booked` until when its room is promised to the refused.
local backlog = {}
local FADE_S, KNOWN_S, STALL_S = 10, 0.5, 30
-- As long as room is promised, others get in up to this share of the target wait only.
local WALK_IN = 0.5
-- The promised get in up to the target; they are told to come when it should be down to this share of it,
-- and no faster than this share of the drain rate.
local AIM, PACE = 0.7, 0.8
-- A promise is kept for so long after its time.
local GRACE_MS = 30000
local UNKNOWN_S = 5
local FIELDS = {'items', 'cost', 'left', 'mark', 'done_items', 'done_cost', 'done_s', 'booked'}

local function prefix_of(job)
  return string.match(job, '^(.-)job:')
end

-- Reads a queue; its rate is known unless nothing was finished for long while something waited.
function backlog.read(prefix, class, now)
  local raw, queue = redis.call('HMGET', prefix .. 'queue:' .. class, unpack(FIELDS)), {}
  for i, field in ipairs(FIELDS) do
    queue[field] = math.max(0, tonumber(raw[i] or 0))
  end
  local stalled = queue.items > 0 and now - queue.mark >= STALL_S * 1000
  queue.known = queue.done_s >= KNOWN_S and not stalled
  return queue
end

-- Seconds in which the class drains so much, by items or by cost, whichever takes longer.
function backlog.seconds(queue, items, cost)
  local by_items = items * queue.done_s / queue.done_items
  if queue.done_cost == 0 then
    return by_items
  end
  return math.max(by_items, cost * queue.done_s / queue.done_cost)
end

-- Tells whether so much more may come in, and how long it would wait where that is known.
function backlog.fits(queue, ask, items, cost, limit_s, now)
  if not queue.known then
    return queue.items == 0 or queue.items + items <= ask.short
  end
  local wait_s = ask.lag + backlog.seconds(queue, queue.items + items, queue.cost + cost)
  if not limit_s then
    limit_s = ask.target * (queue.booked > now and WALK_IN or 1)
  end
  return queue.items == 0 or wait_s <= limit_s, wait_s
end

-- Returns nothing when the items may come in, else 'quota' or 'full' and in how many ms there should be room.
-- Whoever is told 'full' is promised that room: the same items of the same owner find it when they come then.
function backlog.refusal(job, class, ask, items, cost, now)
  local prefix = prefix_of(job)
  local queue = backlog.read(prefix, class, now)
  local open = tonumber(redis.call('HGET', prefix .. 'owners', ask.owner) or 0)
  if ask.quota and open + items > ask.quota then
    local share = math.min(1, (open + items - ask.quota) / math.max(1, open))
    local wait_s = queue.known and backlog.seconds(queue, queue.items, queue.cost) * share or UNKNOWN_S
    return {'quota', math.ceil(wait_s * 1000)}
  end
  local promise = prefix .. 'promise:' .. ask.mark
  local promised = tonumber(redis.call('GET', promise) or 0)
  local due = promised > 0 and promised <= now
  local fits, wait_s = backlog.fits(queue, ask, items, cost, due and ask.target or nil, now)
  if fits then
    redis.call('DEL', promise)
    return nil
  elseif not wait_s then
    return {'full', UNKNOWN_S * 1000}
  elseif promised > now then
    return {'full', promised - now}
  end
  local room = math.max(queue.booked, now + math.ceil(1000 * math.max(0, wait_s - AIM * ask.target)))
  if room - now > ask.horizon * 1000 then
    return {'full', ask.horizon * 1000}
  end
  local taken = math.ceil(1000 * backlog.seconds(queue, items, cost) / PACE)
  redis.call('HSET', prefix .. 'queue:' .. class, 'booked', room + taken)
  redis.call('SET', promise, room, 'PX', room - now + GRACE_MS)
  return {'full', room - now}
end

-- Counts items in; returns how many have to leave until it is this job's turn, counted like `left`.
function backlog.join(job, class, owner, items, cost, now)
  local prefix = prefix_of(job)
  local queue = prefix .. 'queue:' .. class
  local waiting = redis.call('HINCRBY', queue, 'items', items)
  redis.call('HINCRBY', queue, 'cost', cost)
  account.count(prefix, 'admitted:' .. class, items)
  if waiting == tonumber(items) then
    redis.call('HSET', queue, 'mark', now)
  end
  redis.call('HINCRBY', prefix .. 'owners', owner, items)
  redis.call('HINCRBY', job, 'cost', cost)
  local ticket = tonumber(redis.call('HGET', queue, 'left') or 0) + waiting - items
  redis.call('HSETNX', job, 'ticket', ticket)
  return ticket
end

-- Counts further items of a job in.
function backlog.grow(job, items, cost, now)
  local record = redis.call('HMGET', job, 'class', 'owner')
  backlog.join(job, record[1], record[2] or '', items, cost, now)
end

-- Learns the drain rate from what a child finished, but only while others waited that no child could lease:
-- else it would be the rate at which work comes.
local function learn(prefix, class, queue, items, cost, now)
  local seconds = (now - queue.mark) / 1000
  local key = prefix .. 'queue:' .. class
  redis.call('HSET', key, 'mark', now)
  if redis.call('EXISTS', prefix .. 'pending:' .. class) == 0 then
    return
  elseif seconds >= STALL_S then
    redis.call('HDEL', key, 'done_items', 'done_cost', 'done_s')
    return
  end
  local fade = math.exp(-seconds / FADE_S)
  redis.call('HSET', key, 'done_items', string.format('%.3f', queue.done_items * fade + items),
    'done_cost', string.format('%.3f', queue.done_cost * fade + cost),
    'done_s', string.format('%.6f', queue.done_s * fade + FADE_S * (1 - fade)))
end

-- Counts items out; `scored` when a child finished them. (Lua writes a negated zero as -0, which is no integer.)
function backlog.leave(job, items, cost, now, scored)
  local prefix = prefix_of(job)
  local record = redis.call('HMGET', job, 'class', 'owner', 'ticket')
  if not record[3] then
    return
  end
  local queue = prefix .. 'queue:' .. record[1]
  if scored then
    learn(prefix, record[1], backlog.read(prefix, record[1], now), items, cost, now)
  end
  redis.call('HINCRBY', queue, 'items', 0 - items)
  redis.call('HINCRBY', queue, 'cost', 0 - cost)
  redis.call('HINCRBY', queue, 'left', items)
  redis.call('HINCRBY', job, 'cost', 0 - cost)
  if redis.call('HINCRBY', prefix .. 'owners', record[2] or '', 0 - items) <= 0 then
    redis.call('HDEL', prefix .. 'owners', record[2] or '')
  end
end

-- Counts out all that is left of a job.
function backlog.forget(job, now)
  local record = redis.call('HMGET', job, 'total', 'cost', 'succeeded', 'failed', 'timed_out', 'canceled')
  local items = tonumber(record[1] or 0)
  for i = 3, 6 do
    items = items - (record[i] or 0)
  end
  if items > 0 then
    account.count(prefix_of(job), 'items:deleted', items)
  end
  backlog.leave(job, items, record[2] or 0, now, false)
end

