-- Leases the oldest pending chunks of a model, up to a budget of code points; at least one if there is any.
-- Interactive chunks come before bulk ones, then owners in the order of their oldest chunks.
-- Chunks of jobs in formats that the child does not read stay in the queue, for others.
-- include: clock counters ref candidates held_lease
-- args: model, worker, pid (of the child), lease_ms, budget, min_budget, siblings (children of the worker), formats
-- Returns the fencing token and the class, then {ref, payload, request id} of each chunk; nothing when no chunk waits.
local CLASSES, LEASES_TTL_MS, MAX_RETURNS = {'interactive', 'bulk'}, 3600000, 2

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
  candidates.take(queue, chunk.owner, chunk)
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
  local answer, spent = {redis.call('INCR', keys.fence), class}, 0
  for _, chunk in ipairs(chunks) do
    -- A chunk that was started before runs alone, so that a text that kills its child cannot take others along. So
    -- does one that several sick children returned: it may be what made them sick.
    local alone = chunk.attempts > 0 or chunk.returns >= MAX_RETURNS
    local fits = #answer == 2 or (not alone and spent + chunk.cost <= budget)
    if fits then
      answer[#answer + 1], spent = lease(queue, chunk, answer[1]), spent + chunk.cost
    end
    if fits and alone or not (fits or alone) then
      break
    end
  end
  redis.call('PEXPIRE', held_lease.key, LEASES_TTL_MS)
  return answer
end

local function lease_first()
  for _, class in ipairs(CLASSES) do
    local chunks, cost = candidates.oldest(args.model .. ':' .. class)
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
return answer
