-- Resets the backlog counters while no job is open, so that drift from a lost record heals.
-- args: queues
if redis.call('EXISTS', keys.open_jobs) == 0 then
  redis.call('DEL', keys.owners)
  for _, queue in ipairs(args.queues) do
    redis.call('HDEL', keys.backlog .. queue, 'items', 'cost', 'deferred', 'paused', 'paused_cost')
    redis.call('DEL', keys.shares .. queue, keys.lines .. queue, keys.parked_shares .. queue,
      keys.parked_lines .. queue)
  end
end
