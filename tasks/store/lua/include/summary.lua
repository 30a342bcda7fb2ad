-- The summary of a job, counted where outcomes are written, so that it is exact whatever dies.
--
--   job:{id}:summary  `GROUP MODEL` -> tally of the items of one group with verdicts of one model (none: no verdict),
--                     numbers as tasks/vocabulary/tallies.py lays them out
--                     `error CODE` -> number of items with this error
--                     `value GROUP` -> the value of `data` that the group stands for, as JSON; 0 is all others
--                     `bytes` -> size of all tallies and values
local summary = {}
local MAX_BYTES = 1000000 -- a new tally beyond that counts as that of group 0; known ones grow little

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

local function sum(written, counts)
  local sums = {}
  for number in string.gmatch(written or '', '%S+') do
    sums[#sums + 1] = tonumber(number)
  end
  for i, count in ipairs(counts) do
    sums[i] = (sums[i] or 0) + count
  end
  return table.concat(sums, ' ')
end

-- Adds the tallies of groups, each {group, numbers}, and the errors among what was `counted` by name. Returns by how
-- many bytes the summary grew.
function summary.add(job, model, tallies, counted)
  local key, grown = job .. ':summary', 0
  local bytes = tonumber(redis.call('HGET', key, 'bytes') or 0)
  for _, tally in ipairs(tallies) do
    local field = tally[1] .. ' ' .. model
    local written = redis.call('HGET', key, field)
    if not written and bytes + grown > MAX_BYTES then
      field = '0 ' .. model
      written = redis.call('HGET', key, field)
    end
    local sums = sum(written, tally[2])
    redis.call('HSET', key, field, sums)
    grown = grown + #sums - (written and #written or -#field)
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
