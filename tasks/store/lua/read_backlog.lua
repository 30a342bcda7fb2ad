-- Reads the backlog of each queue, how fast it drains, and whether one more item of an owner would be accepted.
-- include: clock backlog admission pauses
-- args: queues {queue, admission (a request, see admission.lua)}
-- Returns for each: items, deferred items, left, seconds until all is done or '', items a second or '', 1 or 0
-- (accepting), for how many ms the oldest pending chunk has waited, and paused items.
local answer = {}
for _, each in ipairs(args.queues) do
  local read, request = backlog.read(each.queue), each.admission
  local line = backlog.line(each.queue, request.owner)
  local accepts = pauses.since(each.queue, request.owner)
    or admission.fits(each.queue, read, line, request, 1, 0, false)
  local oldest = redis.call('ZRANGE', keys.waiting .. each.queue, 0, 0, 'WITHSCORES')[2]
  answer[#answer + 1] = {
    read.items,
    read.deferred,
    read.left,
    read.measured and tostring(backlog.drain_seconds(read, read.items, read.cost)) or '',
    read.measured and tostring(read.drained_items / read.drained_s) or '',
    accepts and 1 or 0,
    oldest and math.max(0, math.floor(now - oldest)) or 0,
    read.paused,
  }
end
return answer
