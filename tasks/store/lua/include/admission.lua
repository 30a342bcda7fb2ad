-- Admission control with reservations.
--
-- A queue accepts what it should finish within its target wait: what waits, divided by the measured drain rate.
-- Under lasting overload that alone would be unfair: a caller who obeys `Retry-After` competes with all who just
-- arrive, and loses. So a refusal reserves room: the fingerprint of the refused request may come back at a set time
-- and then gets in up to the whole target, while new arrivals get in only up to a share of it as long as any
-- reservation is open. Reservations are handed out one behind the other, a little slower than the queue drains.
--
-- Whoever comes first could fill the whole target, and others would wait for all of it. So an owner may hold only a
-- share of a queue while others call; reservations of an owner that holds more are void then.
--
-- A request: owner, fingerprint, target_s, lag_s (how long a text may wait for its neighbours in a lease),
-- unmeasured_items and unmeasured_cost (accepted while no rate is known), max_reservation_s, and where the owner has
-- them: quota, max_jobs (that are not finished), kept_limit (bytes that it may keep), share {seconds (of the drain
-- rate), least {items, cost} (what it may hold at any rate)}, shadow (a shadow job: it gets in up to the share of new
-- arrivals, and nobody comes back for it, so that no room is reserved).
--
-- include: clock counters backlog kept open_jobs
local admission = {}
local WALK_IN_SHARE = 0.5 -- of the target wait, for arrivals without a reservation while one is open
local RESERVED_SHARE = 0.7 -- of the target wait: a reservation is for the time at which the wait is down to this
local PACE = 0.8 -- of the drain rate, at which reservations follow one another
local GRACE_MS = 30000 -- how long a reservation outlives its time
local UNKNOWN_S = 5 -- the wait in refusals while no rate is known
local CALLING_MS = 10000 -- how long an owner counts as one that calls

-- Returns whether items of this cost fit, and how long they would wait where that is known.
function admission.fits(read, request, items, cost, reserved)
  if not read.measured then
    local few = read.items + items <= request.unmeasured_items and read.cost + cost <= request.unmeasured_cost
    return read.items == 0 or few
  end
  local wait_s = request.lag_s + backlog.drain_seconds(read, read.items + items, read.cost + cost)
  local walk_in = request.shadow or (read.reserved_until > now and not reserved)
  return read.items == 0 or wait_s <= request.target_s * (walk_in and WALK_IN_SHARE or 1), wait_s
end

-- Returns the ms in which `excess` of what an owner holds should be done: its part of all that waits.
local function time_until_done(read, held, excess)
  local part = math.min(1, excess / math.max(1, held))
  local wait_s = read.measured and backlog.drain_seconds(read, read.items, read.cost) * part or UNKNOWN_S
  return math.ceil(wait_s * 1000)
end

local function over_quota(read, request, items)
  local open = tonumber(redis.call('HGET', keys.owners, request.owner) or 0)
  if not request.quota or open + items <= request.quota then
    return nil
  end
  return {'quota', time_until_done(read, open, open + items - request.quota)}
end

local function over_jobs(read, request)
  if not request.max_jobs or request.shadow or request.max_jobs > open_jobs.count(request.owner, request.max_jobs) then
    return nil
  end
  local items = tonumber(redis.call('HGET', keys.owners, request.owner) or 0)
  return {'jobs', time_until_done(read, items, items / request.max_jobs)}
end

-- Notes that an owner calls. Returns whether another one did lately.
local function others_call(queue, owner)
  local callers = keys.callers .. queue
  redis.call('ZADD', callers, now, owner)
  redis.call('ZREMRANGEBYSCORE', callers, 0, now - CALLING_MS)
  redis.call('PEXPIRE', callers, CALLING_MS)
  return redis.call('ZCARD', callers) > 1
end

local function share_of(read, request)
  local share = request.share
  local a_second = backlog.weight(request.unmeasured_items, request.unmeasured_cost) / request.target_s
  if read.measured then
    a_second = backlog.weight(read.drained_items, read.drained_cost) / read.drained_s
  end
  return math.max(share.seconds * a_second, backlog.weight(share.least.items, share.least.cost))
end

local function held_by(queue, owner)
  return tonumber(redis.call('HGET', keys.shares .. queue, owner) or 0)
end

local function over_share(read, request, queue, items, cost)
  if not request.share or not others_call(queue, request.owner) then
    return nil
  end
  local share, wanted, held = share_of(read, request), backlog.weight(items, cost), held_by(queue, request.owner)
  if wanted > share then
    return {'large', CALLING_MS}
  elseif held + wanted > share then
    return {'share', time_until_done(read, held, held + wanted - share)}
  end
  local last = read.reserved_until > now and redis.call('HGET', keys.backlog .. queue, 'reserved_by')
  if last and held_by(queue, last) > share then
    redis.call('HDEL', keys.backlog .. queue, 'reserved_until')
    read.reserved_until = 0
  end
  return nil
end

local function reserve(read, request, queue, items, cost, wait_s)
  local starts = now + math.ceil(1000 * math.max(0, wait_s - RESERVED_SHARE * request.target_s))
  starts = math.max(read.reserved_until, starts)
  if starts - now > request.max_reservation_s * 1000 then
    return request.max_reservation_s * 1000
  end
  local lasts = math.ceil(1000 * backlog.drain_seconds(read, items, cost) / PACE)
  redis.call('HSET', keys.backlog .. queue, 'reserved_until', starts + lasts, 'reserved_by', request.owner)
  redis.call('SET', keys.reservation .. request.fingerprint, starts, 'PX', starts - now + GRACE_MS)
  return starts - now
end

local function count_refusal(request, reason)
  counters.increment('refused:' .. (request.shadow and 'shadow_dropped' or reason), 1)
end

-- Returns nil when the items may come in; else {reason, ms after which to try again}, and counts it. The reasons:
-- 'quota', 'jobs', 'kept', 'share', 'large' (beyond the share by itself), 'full'.
function admission.refusal(queue, request, items, cost, bytes)
  local read = backlog.read(queue)
  local refused = over_quota(read, request, items)
  if refused then
    count_refusal(request, 'quota_exceeded')
    return refused
  end
  refused = over_jobs(read, request)
  if refused then
    count_refusal(request, 'too_many_jobs')
    return refused
  end
  local ms = kept.ms_until_room(request.owner, bytes, request.kept_limit)
  if ms then
    count_refusal(request, 'storage_quota_exceeded')
    return {'kept', ms}
  end
  refused = over_share(read, request, queue, items, cost)
  if refused then
    count_refusal(request, 'share_exceeded')
    return refused
  end
  local key = keys.reservation .. request.fingerprint
  local reserved = tonumber(redis.call('GET', key) or 0)
  local fits, wait_s = admission.fits(read, request, items, cost, reserved > 0 and reserved <= now)
  if fits then
    redis.call('DEL', key)
    return nil
  end
  count_refusal(request, 'service_full')
  if not wait_s or request.shadow then
    return {'full', UNKNOWN_S * 1000}
  elseif reserved > now then
    return {'full', reserved - now}
  end
  return {'full', reserve(read, request, queue, items, cost, wait_s)}
end
