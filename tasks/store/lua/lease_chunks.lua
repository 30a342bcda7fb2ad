-- Leases pending chunks of a model, up to a budget of code points; at least one if there is any.
-- Interactive chunks come before bulk ones, which keep a floor (classes.lua); then come owners by turns (turns.lua),
-- and of each the oldest. A lease is of one class; it has chunks of a second owner once the first has no more.
-- Chunks of jobs in formats that the child does not read stay in the queue, for others.
-- include: clock counters ref candidates classes held_lease turns wakeups
-- args: model, worker, pid (of the child), lease_ms, budget, min_budget, siblings (children of the worker), formats,
--       bulk_floor (of the capacity, while both classes wait), woken (if the child has just taken a wake-up),
--       max_attempts
-- Returns the fencing token and the class, then {ref, payload, request id} of each chunk; nothing when no chunk waits;
-- {'again'} when more chunks of ended jobs waited before it than one call drops: a child that slept then would leave
-- what waits behind them without a wake-up.
local LEASES_TTL_MS = 3600000

local function start(chunk, record)
  redis.call('PEXPIRE', chunk.job .. ':tokens', redis.call('PTTL', chunk.job))
  if redis.call('HSETNX', chunk.job, 'started', now) == 1 then
    redis.call('HSET', chunk.job, 'status', 'running')
    redis.call('PUBLISH', keys.progress, chunk.id)
  end
  record.started = true
end

local function lease(queue, chunk, token)
  local mine, record = ref.with_attempts(chunk, chunk.attempts + 1), candidates.record_of(chunk.job)
  counters.observe('queue_s:' .. queue, now - chunk.since)
  candidates.take(queue, chunk.owner, chunk, turns.price(chunk.cost))
  redis.call('ZADD', keys.leased .. queue, now + args.lease_ms, mine)
  redis.call('HSET', held_lease.key, mine, string.format('%d %d', args.pid, token))
  redis.call('HSET', chunk.job .. ':tokens', chunk.start, token)
  if not record.started then
    start(chunk, record)
  end
  return {mine, redis.call('HGET', chunk.job .. ':chunks', chunk.start), record.request}
end

local function lease_some(class, chunks, cost)
  local queue = args.model .. ':' .. class
  -- Towards the end of the work leases get smaller, so that no child is left with the last large one.
  local budget = math.min(args.budget, math.max(args.min_budget, cost / (2 * args.siblings)))
  local answer, spent, price = {redis.call('INCR', keys.fence), class}, 0, 0
  for _, chunk in ipairs(chunks) do
    local fits = #answer == 2 or (not chunk.alone and spent + chunk.cost <= budget)
    if fits then
      answer[#answer + 1], spent = lease(queue, chunk, answer[1]), spent + chunk.cost
      price = price + turns.price(chunk.cost)
    end
    if fits and chunk.alone or not (fits or chunk.alone) then
      break
    end
  end
  classes.count(class, price)
  redis.call('PEXPIRE', held_lease.key, LEASES_TTL_MS)
  return answer
end

local function lease_first()
  for _, class in ipairs(classes.order()) do
    -- With so much the budget is a whole one, however much more there is.
    local chunks, cost = candidates.first(args.model .. ':' .. class, 2 * args.siblings * args.budget)
    if #chunks > 0 then
      return lease_some(class, chunks, cost)
    end
  end
  return {}
end

local answer = held_lease.renew()
if #answer == 0 then
  answer = lease_first()
end
candidates.reorder_owners()
if #answer == 0 and #args.formats > 0 and candidates.left_some() then
  answer = {'again'}
end
wakeups.note(args.model, args.worker .. ' ' .. args.pid, args.woken, #answer > 0)
return answer
