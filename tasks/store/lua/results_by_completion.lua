-- Walks the finished chunks in the order in which they ended.
-- KEYS: order, out
-- ARGV: position, chunks wanted
-- Returns start and payload of each.
local starts = redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[1] + ARGV[2] - 1)
if #starts == 0 and ARGV[1] == '0' then
  starts = {'0'} -- a job of one chunk has no list
end
local read = {}
for _, start in ipairs(starts) do
  local value = redis.call('HGET', KEYS[2], start)
  if value then
    local _, payload = string.match(value, '^(%d+) (.*)$')
    table.insert(read, start)
    table.insert(read, payload)
  end
end
return read
