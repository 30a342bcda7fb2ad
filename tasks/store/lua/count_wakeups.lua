-- Counts the wake-ups that are to be published.
-- include: wakeups
-- args: model, name (of the call), chunks (that came in); and leaving, if a child, `worker pid`, stops to lease
--       although something may wait
-- Returns how many; none while enough are out, or when a child leaves and nothing waits.
if args.leaving then
  wakeups.leave(args.model, args.leaving)
  local queue = keys.waiting .. args.model
  if redis.call('EXISTS', queue .. ':interactive', queue .. ':bulk') == 0 then
    return 0
  end
end
return wakeups.due(args.model, args.chunks, args.name)
