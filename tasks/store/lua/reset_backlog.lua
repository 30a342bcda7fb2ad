-- Resets the backlog counters while no job is open, so that drift from a lost record heals.
-- args: classes
if redis.call('EXISTS', keys.open_jobs) == 0 then
  redis.call('DEL', keys.owners)
  for _, class in ipairs(args.classes) do
    redis.call('HDEL', keys.backlog .. class, 'items', 'cost')
    redis.call('DEL', keys.shares .. class)
  end
end
