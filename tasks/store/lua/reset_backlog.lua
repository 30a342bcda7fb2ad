-- Makes the counts of what waits nothing again when no job is open, should a lost record have left them wrong.
-- KEYS: open, owners, then the queues
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[2])
  for i = 3, #KEYS do
    redis.call('HDEL', KEYS[i], 'items', 'cost')
  end
end
