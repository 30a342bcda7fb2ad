-- Records a delivery of its own, without a job, which is due before all others of its owner.
-- include: clock deliveries
-- args: id, owner, url, host, event, ttl_ms
local key = keys.job .. args.id .. ':delivery'
if redis.call('EXISTS', key) == 1 then
  return
end
redis.call('HSET', key, 'owner', args.owner, 'url', args.url, 'host', args.host, 'event', args.event,
  'state', 'pending', 'attempts', 0, 'ended', now, 'test', 1)
redis.call('PEXPIRE', key, args.ttl_ms)
local first = redis.call('ZRANGE', keys.deliveries .. args.owner, 0, 0, 'WITHSCORES')
deliveries.schedule(args.owner, args.id, math.min(now, (first[2] or now) - 1))
