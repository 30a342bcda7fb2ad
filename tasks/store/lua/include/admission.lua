-- Admission control with reservations.
--
-- A queue accepts what it should finish within its target wait: what the owner has waiting, divided by its share of
-- the measured drain rate. What others have waiting does not matter, because owners take turns (turns.lua).
--
-- Under lasting overload that alone would be unfair: a caller who obeys `Retry-After` competes with all who just
-- arrive, and loses. So a refusal reserves room: the fingerprint of the refused request may come back at a set time
-- and then gets in up to the whole target, while new arrivals of the same owner get in only up to a part of it as long
-- as any of its reservations is open. They are handed out one behind the other, a little slower than the line drains.
--
--   reservation:{fingerprint}   ms: when the refused request may come back
--   reserved:{queue}            owners, by the ms until which room is reserved for them
--
-- A request: owner, fingerprint, target_s, lag_s (how long a text may wait for its neighbours in a lease),
-- unmeasured_items and unmeasured_cost (accepted while no rate is known), max_reservation_s, and where the owner has
-- them: quota, max_jobs (that are not finished), kept_limit (bytes that it may keep), shadow (a shadow job: it gets in
-- up to the part of new arrivals, and nobody comes back for it, so that no room is reserved), deadline_ms (that the
-- caller chose for a job whose size is known), deferred (or paused: what waits now does not matter).
--
-- include: clock counters backlog kept open_jobs
local admission = {}
local WALK_IN_SHARE = 0.5 -- of the target wait, for arrivals without a reservation while one is open
local RESERVED_SHARE = 0.7 -- of the target wait: a reservation is for the time at which the wait is down to this
local PACE = 0.8 -- of the drain rate, at which reservations follow one another
local GRACE_MS = 30000 -- how long a reservation outlives its time
local UNKNOWN_S = 5 -- the wait in refusals while no rate is known

local function is_little(request, items, cost, share)
  return items <= request.unmeasured_items * share and cost <= request.unmeasured_cost * share
end

local function reserved_until(queue, owner)
  return tonumber(redis.call('ZSCORE', keys.reserved .. queue, owner) or 0)
end

-- Returns whether items of this cost fit, and how long they would wait where that is known.
function admission.fits(queue, read, line, request, items, cost, reserved)
  if not read.measured then
    return read.items == 0 or is_little(request, read.items + items, read.cost + cost, 1)
      or (line.share < 1 and is_little(request, line.items + items, line.cost + cost, line.share))
  end
  local wait_s = request.lag_s + backlog.wait_seconds(read, line, items, cost)
  local walk_in = request.shadow or (not reserved and reserved_until(queue, request.owner) > now)
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

local function reserve(queue, read, line, request, items, cost, wait_s)
  local starts = now + math.ceil(1000 * math.max(0, wait_s - RESERVED_SHARE * request.target_s))
  starts = math.max(reserved_until(queue, request.owner), starts)
  if starts - now > request.max_reservation_s * 1000 then
    return request.max_reservation_s * 1000
  end
  local lasts = math.ceil(1000 * backlog.drain_seconds(read, items, cost) / line.share / PACE)
  local key = keys.reserved .. queue
  redis.call('ZADD', key, starts + lasts, request.owner)
  redis.call('ZREMRANGEBYSCORE', key, 0, now)
  redis.call('PEXPIREAT', key, math.max(starts + lasts, redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2] or 0))
  redis.call('SET', keys.reservation .. request.fingerprint, starts, 'PX', starts - now + GRACE_MS)
  return starts - now
end

local function count_refusal(request, reason)
  counters.increment('refused:' .. (request.shadow and 'shadow_dropped' or reason), 1)
end

-- Returns the refusal of a deadline that the items could not meet if they began now, or alone. The rate of an idle
-- queue refuses none once it is old: a caller who always gives a deadline would never get in, and the rate would not
-- be measured again.
local function over_deadline(read, request, wait_s)
  if not (read.fresh and wait_s and request.deadline_ms) or wait_s * 1000 <= request.deadline_ms then
    return nil
  end
  count_refusal(request, 'deadline_too_short')
  return {'deadline', math.ceil(wait_s * 1000)}
end

-- Returns nil when the items may come in; else {reason, ms after which to try again}, and counts it. The reasons:
-- 'quota', 'jobs', 'kept', 'full'; and 'deadline' with the ms in which the items could be done.
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
  if request.deferred then
    return over_deadline(read, request, read.measured and request.lag_s + backlog.drain_seconds(read, items, cost))
  end
  local key = keys.reservation .. request.fingerprint
  local reserved = tonumber(redis.call('GET', key) or 0)
  local line = backlog.line(queue, request.owner)
  local come_back = reserved > 0 and reserved <= now
  local fits, wait_s = admission.fits(queue, read, line, request, items, cost, come_back)
  refused = over_deadline(read, request, wait_s)
  if refused then
    return refused
  end
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
  return {'full', reserve(queue, read, line, request, items, cost, wait_s)}
end
