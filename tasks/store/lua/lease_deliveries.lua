-- Leases deliveries that are due, one of each owner in turn: first of the owner that has waited longest.
-- The attempt is counted before it is made.
-- include: clock deliveries attempts once
-- args: limit, free (attempts that the sender can start), per_host, held (owner -> host -> attempts that the sender is
--       making), max_attempts, lease_ms
-- Returns the job's id and the record of each.
-- An owner holds at most as many attempts as remain free, so that a free one remains for the next owner.
local MAX_LOOKS = 16
local leased = {}

local function records(ids)
  local found = {}
  for _, id in ipairs(ids) do
    local record = redis.call('HGETALL', keys.job .. id .. ':delivery')
    -- Between two runs of a call its job may be deleted.
    if #record > 0 then
      found[#found + 1] = {id, record}
    end
  end
  return found
end

-- Returns whether it leased a delivery of the owner.
local function serve(owner)
  if #leased >= args.limit or attempts.under_way(owner) >= args.free - #leased then
    return false
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', keys.deliveries .. owner, 0, now, 'LIMIT', 0, MAX_LOOKS)) do
    if attempts.lease(owner, id) then
      leased[#leased + 1] = id
      return true
    end
  end
  return false
end

-- An owner with more that is due goes behind those whose turn has come before.
local function end_turn(owner)
  local first = redis.call('ZRANGE', keys.deliveries .. owner, 0, 0, 'WITHSCORES')
  if first[1] then
    redis.call('ZADD', keys.delivery_turns, math.max(now, first[2]), owner)
  else
    redis.call('ZREM', keys.delivery_turns, owner)
  end
end

local answered = once.answer()
if answered then
  return records(answered)
end
local owners = redis.call('ZRANGEBYSCORE', keys.delivery_turns, 0, now, 'LIMIT', 0, args.limit)
local served
repeat
  served = false
  for _, owner in ipairs(owners) do
    served = serve(owner) or served
  end
until not served
for _, owner in ipairs(owners) do
  end_turn(owner)
end
return records(#leased > 0 and once.keep(leased) or leased)
