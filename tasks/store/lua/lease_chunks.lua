-- Leases the oldest pending chunks of a model, up to a budget of code points; at least one if there is any.
-- Interactive chunks come before bulk ones, then owners in the order of their oldest chunks.
-- Chunks of jobs in formats that the child does not read stay in the queue, for others.
-- include: clock counters pending ref
-- args: model, worker, pid (of the child), lease_ms, budget, min_budget, siblings (children of the worker), formats
-- Returns the fencing token and the class, then {ref, payload, request id} of each chunk; nothing when no chunk waits.
local CLASSES, WINDOW, MAX_LOOKS, LEASES_TTL_MS, MAX_RETURNS = {'interactive', 'bulk'}, 128, 8192, 3600000, 2
local leases = keys.leases .. args.worker

-- Forgets a chunk that the child no longer holds. If no child holds it, its job may be deleted and its class unknown:
-- it is removed from both.
local function forget(chunk, held)
  redis.call('HDEL', leases, chunk.text)
  for _, class in ipairs(held and {} or CLASSES) do
    redis.call('ZREM', keys.leased .. args.model .. ':' .. class, chunk.text)
  end
end

-- A child holds one lease at a time: what is still its own was leased by a call whose answer it never got. Returns
-- that answer, with a lease of the full time; nothing when the child holds nothing. The token distinguishes
-- its lease from a later one of another child, whose ref may be equal: not every lease counts as an attempt.
local function unanswered()
  local answer = {}
  local held = redis.call('HGETALL', leases)
  for i = 1, #held, 2 do
    local pid, token = string.match(held[i + 1], '^(%d+) (%d+)$')
    local chunk = pid == tostring(args.pid) and ref.parse(held[i])
    local holder = chunk and redis.call('HGET', chunk.job .. ':tokens', chunk.start)
    local texts = holder == token and redis.call('HGET', chunk.job .. ':chunks', chunk.start)
    local record = texts and redis.call('HMGET', chunk.job, 'queue', 'request')
    if record and record[1] then
      redis.call('ZADD', keys.leased .. record[1], now + args.lease_ms, chunk.text)
      answer[1], answer[2] = tonumber(token), string.match(record[1], ':(.*)$')
      answer[#answer + 1] = {chunk.text, texts, record[2] or ''}
    elseif chunk then
      forget(chunk, holder)
    end
  end
  return answer
end

local readable, records, changed, looks = {}, {}, {}, 0
for _, format in ipairs(args.formats) do
  readable[tostring(format)] = true
end

local function record_of(job)
  if not records[job] then
    local read = redis.call('HMGET', job, 'deadline', 'cancel', 'format', 'request')
    local due = not read[2] and tonumber(read[1] or 0) > now
    records[job] = {due = due, readable = readable[read[3] or '1'], request = read[4] or ''}
  end
  return records[job]
end

-- Returns up to `limit` of an owner's oldest chunks that are to be scored. Drops chunks that are done, and those of
-- jobs that are overdue, canceled or deleted.
local function oldest_of(queue, owner, limit)
  local key, open, skipped = pending.key(queue, owner), {}, 0
  local read
  repeat
    read = redis.call('ZRANGE', key, skipped, skipped + limit - 1, 'WITHSCORES')
    for i = 1, #read, 2 do
      local chunk = ref.parse(read[i])
      local record = record_of(chunk.job)
      if not record.due or redis.call('HEXISTS', chunk.job .. ':chunks', chunk.start) == 0 then
        redis.call('ZREM', key, chunk.text)
        changed[key] = {queue, owner}
      elseif record.readable then
        chunk.owner, chunk.since, open[#open + 1] = owner, read[i + 1], chunk
      else
        skipped = skipped + 1
      end
    end
    looks = looks + #read / 2
  until #open > 0 or #read < 2 * limit or looks >= MAX_LOOKS
  return open
end

-- Returns the oldest chunks of a queue that are to be scored, and their cost.
local function oldest(queue)
  local open, cost, from = {}, 0, 0
  local owners
  repeat
    owners = redis.call('ZRANGE', keys.waiting .. queue, from, from + WINDOW - 1)
    for _, owner in ipairs(owners) do
      local room = WINDOW - #open
      for _, chunk in ipairs(room > 0 and looks < MAX_LOOKS and oldest_of(queue, owner, room) or {}) do
        open[#open + 1], cost = chunk, cost + chunk.cost
      end
    end
    from = from + #owners
  until #open > 0 or #owners < WINDOW or looks >= MAX_LOOKS
  return open, cost
end

local function start(chunk, record)
  redis.call('PEXPIRE', chunk.job .. ':tokens', redis.call('PTTL', chunk.job))
  if redis.call('HSETNX', chunk.job, 'started', now) == 1 then
    redis.call('HSET', chunk.job, 'status', 'running')
    redis.call('PUBLISH', keys.progress, chunk.id)
  end
  record.started = true
end

local function lease(queue, chunk, token)
  local mine, record = ref.with_attempts(chunk, chunk.attempts + 1), record_of(chunk.job)
  counters.observe('queue_s:' .. queue, now - chunk.since)
  local key = pending.key(queue, chunk.owner)
  redis.call('ZREM', key, chunk.text)
  changed[key] = {queue, chunk.owner}
  redis.call('ZADD', keys.leased .. queue, now + args.lease_ms, mine)
  redis.call('HSET', leases, mine, string.format('%d %d', args.pid, token))
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
  redis.call('PEXPIRE', leases, LEASES_TTL_MS)
  return answer
end

local function lease_first()
  for _, class in ipairs(CLASSES) do
    local chunks, cost = oldest(args.model .. ':' .. class)
    if #chunks > 0 then
      return lease_some(class, chunks, cost)
    end
  end
  return {}
end

local answer = unanswered()
if #answer == 0 then
  answer = lease_first()
end
for _, each in pairs(changed) do
  pending.reorder(each[1], each[2])
end
return answer
