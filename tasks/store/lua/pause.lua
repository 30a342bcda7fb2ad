-- Pauses a class, a model or an owner, or resumes it. What is paused already stays as it is.
-- include: clock once parking
-- args: target (`class:CLASS`, `model:NAME` or `owner:ID`), pause {by, reason} (resumes if left out), queues (whose
--       lines that concerns), owner (only its lines)
-- Returns what is kept of the pause, as JSON, or '' without one; and {model, chunks} of each queue that has chunks
-- again that may be leased.
local answered = once.answer()
if answered then
  return answered
end
if args.pause then
  args.pause.since = now
  redis.call('HSETNX', keys.pauses, args.target, cjson.encode(args.pause))
else
  redis.call('HDEL', keys.pauses, args.target)
end
local answer = {redis.call('HGET', keys.pauses, args.target) or ''}
for _, queue in ipairs(args.queues) do
  local chunks = parking.settle(queue, args.owner)
  if chunks > 0 then
    answer[#answer + 1] = {string.match(queue, '^[^:]*'), chunks}
  end
end
-- Deadlines follow in steps: settle_jobs.lua.
redis.call('SET', keys.unsettled, time[1] .. '.' .. time[2])
return once.keep(answer)
