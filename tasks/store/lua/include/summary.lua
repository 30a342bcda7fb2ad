-- The summary of a job, counted where outcomes are written, so that it is exact whatever dies.
--
--   job:{id}:summary  `GROUP MODEL` -> tally of the items of one group with verdicts of one model (none: no verdict),
--                     written as tasks/vocabulary/tallies.py reads it
--                     `error CODE` -> number of items with this error
--                     `value GROUP` -> the value of `data` that the group stands for, as JSON; 0 is all others
--                     `aspect WORD` -> number of an aspect, in the order in which they were counted
--                     `aspects` -> how many have numbers
--                     `aNUMBER MODEL` -> tally of the verdicts on an aspect, each as an item; 0 is all others
--                     `bytes` -> size of all tallies, values and aspects
local summary = {}
local MAX_BYTES = 1000000 -- a new tally beyond that counts as that of group 0; known ones grow little
local MAX_ASPECTS = 64 -- of single items; those of a job always have numbers

-- Returns the bytes of values, each {group, JSON}; none if there are none.
function summary.of_values(values)
  local bytes = 0
  for _, value in ipairs(values or {}) do
    bytes = bytes + #value[2]
  end
  return bytes
end

function summary.add_values(job, values)
  if values then
    for _, value in ipairs(values) do
      redis.call('HSET', job .. ':summary', 'value ' .. value[1], value[2])
    end
    redis.call('HINCRBY', job .. ':summary', 'bytes', summary.of_values(values))
    redis.call('PEXPIRE', job .. ':summary', redis.call('PTTL', job))
  end
end

-- Returns how `count` numbers are written: the fifth, a sum of scores, may be large and below zero.
local function format(count)
  return '<I4I4I4I4i8' .. string.rep('I4', count - 5)
end

-- Returns a tally with what is added to it: places and numbers in turn.
local function sum(written, added)
  local sums, count = {0, 0, 0, 0, 0}, 5
  if written then
    count = #written / 4 - 1
    sums = {struct.unpack(format(count), written)}
  end
  for i = 1, #added, 2 do
    for place = count + 1, added[i] do
      sums[place] = 0
    end
    count = math.max(count, added[i])
    sums[added[i]] = sums[added[i]] + added[i + 1]
  end
  return struct.pack(format(count), unpack(sums, 1, count))
end

-- Adds to the tally of a group, or to that of `other` if a new one has no room. Returns by how many bytes it grew.
local function add_tally(key, group, other, model, added, bytes)
  local field = group .. ' ' .. model
  local written = redis.call('HGET', key, field)
  if not written and bytes > MAX_BYTES then
    field = other .. ' ' .. model
    written = redis.call('HGET', key, field)
  end
  local sums = sum(written, added)
  redis.call('HSET', key, field, sums)
  return #sums - (written and #written or -#field)
end

-- Returns the number of an aspect, 0 for one of single items that has no room, and by how many bytes the summary grew.
local function number_of(key, aspect, of_job)
  local field = 'aspect ' .. aspect
  local number = redis.call('HGET', key, field)
  if number then
    return number, 0
  end
  if not of_job and tonumber(redis.call('HGET', key, 'aspects') or 0) >= MAX_ASPECTS then
    return 0, 0
  end
  number = redis.call('HINCRBY', key, 'aspects', 1)
  redis.call('HSET', key, field, number)
  return number, #field
end

-- Adds to the tallies of groups, each {group, places and numbers}, and of `aspects`, if any, each {word, whether the
-- job names it, places and numbers}; counts the errors among what was `counted` by name. Returns by how many bytes the
-- summary grew.
function summary.add(job, model, tallies, counted, aspects)
  local key, grown = job .. ':summary', 0
  local bytes = tonumber(redis.call('HGET', key, 'bytes') or 0)
  for _, tally in ipairs(tallies) do
    grown = grown + add_tally(key, tally[1], 0, model, tally[2], bytes + grown)
  end
  for _, tally in ipairs(aspects or {}) do
    local number, added = number_of(key, tally[1], tally[2])
    grown = grown + added
    grown = grown + add_tally(key, 'a' .. number, 'a0', model, tally[3], bytes + grown)
  end
  redis.call('HINCRBY', key, 'bytes', grown)
  for name, count in pairs(counted) do
    local code = string.match(name, '^items:(.+)')
    if code and code ~= 'succeeded' then
      redis.call('HINCRBY', key, 'error ' .. code, count)
    end
  end
  redis.call('PEXPIRE', key, redis.call('PTTL', job))
  return grown
end
