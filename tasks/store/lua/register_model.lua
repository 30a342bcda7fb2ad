-- Registers a model: when a worker starts that serves it, and anew should Redis have lost the registry.
-- args: model, description (JSON), starting (the worker is), replacing (the description is written over another one)
-- A retired model is registered again only by a worker that starts after the last job of that model.
-- Returns 1 when the model is registered and takes jobs, 0 while it is retired.
if redis.call('SISMEMBER', keys.retired, args.model) == 1 then
  if not args.starting or redis.call('HEXISTS', keys.models, args.model) == 1 then
    return 0
  end
  redis.call('SREM', keys.retired, args.model)
end
redis.call(args.replacing and 'HSET' or 'HSETNX', keys.models, args.model, args.description)
return 1
