-- Admission control with reservations.
--
-- A class accepts what it should finish within its target wait: what waits, divided by the measured drain rate.
-- Under lasting overload that alone would be unfair: a caller who obeys `Retry-After` competes with all who just
-- arrive, and loses. So a refusal reserves room: the fingerprint of the refused request may come back at a set time
-- and then gets in up to the whole target, while new arrivals get in only up to a share of it as long as any
-- reservation is open. Reservations are handed out one behind the other, a little slower than the class drains.
--
-- A request: owner, fingerprint, target_s, lag_s (how long a text may wait for its neighbours in a lease),
-- unmeasured_items (accepted while no rate is known), max_reservation_s, and quota where the owner has one.
--
-- include: clock counters backlog
local admission = {}
local WALK_IN_SHARE = 0.5 -- of the target wait, for arrivals without a reservation while one is open
local RESERVED_SHARE = 0.7 -- of the target wait: a reservation is for the time at which the wait is down to this
local PACE = 0.8 -- of the drain rate, at which reservations follow one another
local GRACE_MS = 30000 -- how long a reservation outlives its time
local UNKNOWN_S = 5 -- the wait in refusals while no rate is known

-- Returns whether items of this cost fit, and how long they would wait where that is known.
function admission.fits(read, request, items, cost, reserved)
  if not read.measured then
    return read.items == 0 or read.items + items <= request.unmeasured_items
  end
  local wait_s = request.lag_s + backlog.drain_seconds(read, read.items + items, read.cost + cost)
  local walk_in = read.reserved_until > now and not reserved
  return read.items == 0 or wait_s <= request.target_s * (walk_in and WALK_IN_SHARE or 1), wait_s
end

local function over_quota(read, request, items)
  local open = tonumber(redis.call('HGET', keys.owners, request.owner) or 0)
  if not request.quota or open + items <= request.quota then
    return nil
  end
  local share = math.min(1, (open + items - request.quota) / math.max(1, open))
  local wait_s = read.measured and backlog.drain_seconds(read, read.items, read.cost) * share or UNKNOWN_S
  return {'quota', math.ceil(wait_s * 1000)}
end

local function reserve(read, request, class, items, cost, wait_s)
  local starts = now + math.ceil(1000 * math.max(0, wait_s - RESERVED_SHARE * request.target_s))
  starts = math.max(read.reserved_until, starts)
  if starts - now > request.max_reservation_s * 1000 then
    return request.max_reservation_s * 1000
  end
  local lasts = math.ceil(1000 * backlog.drain_seconds(read, items, cost) / PACE)
  redis.call('HSET', keys.backlog .. class, 'reserved_until', starts + lasts)
  redis.call('SET', keys.reservation .. request.fingerprint, starts, 'PX', starts - now + GRACE_MS)
  return starts - now
end

-- Returns nil when the items may come in; else {'quota' or 'full', ms after which to try again}, and counts it.
function admission.refusal(class, request, items, cost)
  local read = backlog.read(class)
  local refused = over_quota(read, request, items)
  if refused then
    counters.increment('refused:quota_exceeded', 1)
    return refused
  end
  local key = keys.reservation .. request.fingerprint
  local reserved = tonumber(redis.call('GET', key) or 0)
  local fits, wait_s = admission.fits(read, request, items, cost, reserved > 0 and reserved <= now)
  if fits then
    redis.call('DEL', key)
    return nil
  end
  counters.increment('refused:service_full', 1)
  if not wait_s then
    return {'full', UNKNOWN_S * 1000}
  elseif reserved > now then
    return {'full', reserved - now}
  end
  return {'full', reserve(read, request, class, items, cost, wait_s)}
end
