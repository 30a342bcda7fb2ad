-- Counts events in the step that causes them, so that no crash loses a count or makes it twice. Names and histogram
-- buckets: tasks/store/counters.py.
local counters = {}

function counters.increment(name, by)
  redis.call('HINCRBY', keys.counters, name, by)
end

-- Adds a table of counts of a queue's model: its name becomes the first label.
function counters.add(counts, queue)
  local model = string.match(queue, '^[^:]*')
  for name, by in pairs(counts) do
    local counter, label = string.match(name, '^([^:]*)(.*)$')
    counters.increment(counter .. ':' .. model .. label, by)
  end
end

-- Adds a duration to a histogram: its bucket is the smallest power of two, in seconds, that is not below it.
function counters.observe(histogram, ms)
  ms = math.max(1, math.floor(ms))
  local mantissa, power = math.frexp(ms / 1000)
  counters.increment(histogram .. ':' .. (mantissa == 0.5 and power - 1 or power), 1)
  counters.increment(histogram .. ':sum', ms)
end
