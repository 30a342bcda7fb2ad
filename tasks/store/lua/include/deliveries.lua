-- The outbox of webhooks: a queue of deliveries for each owner, and the owners by the time of their next turn.
local deliveries = {}

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
