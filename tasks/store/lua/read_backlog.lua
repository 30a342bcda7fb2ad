-- Tells of every class what waits, how fast it drains and whether more may come in.
-- ARGV: prefix, then class and ask for each
-- Returns items, left, seconds until all of it is done or '', items a second or '', 1 or 0, and for how many ms the
-- oldest chunk that nobody leased waits, for each.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local told = {}
for i = 2, #ARGV, 2 do
  local queue = backlog.read(ARGV[1], ARGV[i], now)
  local fits = backlog.fits(queue, cjson.decode(ARGV[i + 1]), 1, 0, nil, now)
  table.insert(told, queue.items)
  table.insert(told, queue.left)
  table.insert(told, queue.known and tostring(backlog.seconds(queue, queue.items, queue.cost)) or '')
  table.insert(told, queue.known and tostring(queue.done_items / queue.done_s) or '')
  table.insert(told, fits and 1 or 0)
  local oldest = redis.call('ZRANGE', ARGV[1] .. 'pending:' .. ARGV[i], 0, 0, 'WITHSCORES')[2]
  table.insert(told, oldest and math.max(0, math.floor(now - oldest)) or 0)
end
return told
