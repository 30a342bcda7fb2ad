-- Folds the usage of an owner: old days into their months. Forgets what is too old, and an owner without any.
-- args: owner, folds (fields of days, each with that of its month), drops (fields)
local key = keys.usage .. args.owner
for _, fold in ipairs(args.folds) do
  local count = redis.call('HGET', key, fold[1])
  if count then
    redis.call('HINCRBY', key, fold[2], count)
    redis.call('HDEL', key, fold[1])
  end
end
for _, field in ipairs(args.drops) do
  redis.call('HDEL', key, field)
end
for _, field in ipairs(redis.call('HKEYS', key)) do
  if not string.match(field, '^all ') then
    return
  end
end
redis.call('DEL', key)
redis.call('ZREM', keys.usage_owners, args.owner)
