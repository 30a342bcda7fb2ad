-- The outbox of webhooks: a queue of deliveries for each owner, and the owners by the time of their next turn; and the
-- log of all deliveries, by when their jobs finished.
local deliveries = {TTL_MS = 604800000}

function deliveries.log(id, ended)
  redis.call('ZADD', keys.delivery_log, ended, id)
  -- Records expire by themselves. With two looks for each that is added, no more than half of the log is of such.
  for _, old in ipairs(redis.call('ZRANDMEMBER', keys.delivery_log, 2)) do
    if redis.call('EXISTS', keys.job .. old .. ':delivery') == 0 then
      redis.call('ZREM', keys.delivery_log, old)
    end
  end
end

-- Sets when a delivery is due. Its owner's turn comes no later.
function deliveries.schedule(owner, id, due)
  redis.call('ZADD', keys.deliveries .. owner, due, id)
  redis.call('ZADD', keys.delivery_turns, 'LT', due, owner)
end

function deliveries.remove(owner, id)
  redis.call('ZREM', keys.deliveries .. owner, id)
  if redis.call('EXISTS', keys.deliveries .. owner) == 0 then
    redis.call('ZREM', keys.delivery_turns, owner)
  end
end
