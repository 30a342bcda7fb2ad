-- Walks the finished chunks in input order from `start` on, until one is not finished or enough items are read.
-- KEYS: out
-- ARGV: start, items wanted
-- Returns start and payload of each.
local start, wanted, read = tonumber(ARGV[1]), tonumber(ARGV[2]), {}
while wanted > 0 do
  local value = redis.call('HGET', KEYS[1], start)
  if not value then
    break
  end
  local items, payload = string.match(value, '^(%d+) (.*)$')
  table.insert(read, start)
  table.insert(read, payload)
  start = start + items
  wanted = wanted - items
end
return read
