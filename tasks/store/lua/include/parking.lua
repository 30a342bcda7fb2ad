-- Moves lines aside whose owners are paused in a queue, and back when they are not.
-- include: clock backlog pauses pending
local parking = {}

-- Returns the owners of a sorted set of owners and of a hash of lines, each once.
local function owners_of(waiting, lines)
  local found = {}
  for _, owner in ipairs(redis.call('ZRANGE', waiting, 0, -1)) do
    found[owner] = true
  end
  for _, field in ipairs(redis.call('HKEYS', lines)) do
    found[string.match(field, '^%a+:(.*)$')] = true
  end
  return found
end

local function park(queue, owner)
  backlog.move(queue, owner, true)
  pending.park(queue, owner)
end

local function unpark(queue, owner)
  backlog.move(queue, owner, false)
  return pending.unpark(queue, owner)
end

-- Parks and unparks the lines of a queue as the pauses say: all of them, or that of one owner. Returns how many chunks
-- wait from now on that were parked.
function parking.settle(queue, owner)
  local active = owner and {[owner] = true} or owners_of(keys.waiting .. queue, keys.lines .. queue)
  local parked = owner and {[owner] = true} or owners_of(keys.parked .. queue, keys.parked_lines .. queue)
  local chunks = 0
  for each in pairs(active) do
    if pauses.since(queue, each) then
      park(queue, each)
    end
  end
  for each in pairs(parked) do
    if not pauses.since(queue, each) then
      chunks = chunks + unpark(queue, each)
    end
  end
  return chunks
end
