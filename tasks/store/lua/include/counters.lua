-- Put before all scripts: what is counted changes in the very step of the work that it tells of, so that nothing
-- that dies loses a count or makes one twice. Names and buckets: tasks/store/counters.py.
local account = {}

function account.count(prefix, figure, by)
  redis.call('HINCRBY', prefix .. 'counters', figure, by)
end

-- Counts what somebody else added up, as JSON.
function account.add(prefix, figures)
  for figure, by in pairs(cjson.decode(figures)) do
    account.count(prefix, figure, by)
  end
end

-- Counts a time into the histogram's bucket: the smallest power of two, in seconds, that is not below it.
function account.observe(prefix, histogram, ms)
  ms = math.max(1, math.floor(ms))
  local mantissa, power = math.frexp(ms / 1000)
  account.count(prefix, histogram .. ':' .. (mantissa == 0.5 and power - 1 or power), 1)
  account.count(prefix, histogram .. ':sum', ms)
end

