-- Which class of a model goes first: interactive, unless bulk is owed its floor. While both wait, each lease of
-- interactive work owes bulk a part, the `credit` in backlog:{model}:bulk, in code points; a lease of bulk work pays
-- it back. Once only one of them waits, nothing is owed.
-- include: turns
-- args: model, budget, bulk_floor (of the capacity)
local classes = {}
local INTERACTIVE, BULK = args.model .. ':interactive', args.model .. ':bulk'
local contended, owed = false, 0

-- Returns both classes in the order in which the child looks for work.
function classes.order()
  contended = redis.call('EXISTS', keys.waiting .. INTERACTIVE, keys.waiting .. BULK) == 2
  if not contended then
    redis.call('HDEL', keys.backlog .. BULK, 'credit')
    return {'interactive', 'bulk'}
  end
  owed = tonumber(redis.call('HGET', keys.backlog .. BULK, 'credit') or 0)
  if owed > 0 and owed >= args.budget then
    return {'bulk', 'interactive'}
  end
  return {'interactive', 'bulk'}
end

-- Notes what a lease of a class cost.
function classes.count(class, price)
  if not contended or args.bulk_floor == 0 then
    return
  end
  local change = price * args.bulk_floor / (1 - args.bulk_floor)
  if class == 'bulk' then
    -- What bulk gets because no interactive chunk can be leased is not on its account.
    change = owed >= args.budget and 0 - price or 0
  end
  -- What bulk cannot take, because no child reads it, does not add up.
  redis.call('HSET', keys.backlog .. BULK, 'credit', string.format('%.3f', math.min(owed + change, 2 * args.budget)))
end
