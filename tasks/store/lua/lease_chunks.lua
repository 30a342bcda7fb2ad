-- Leases the oldest pending chunks of a class, up to a budget of code points; at least one if there is any.
-- include: clock counters ref
-- Chunks of jobs in formats that the child does not read stay in the queue, for others.
-- args: class, worker, pid (of the child), lease_ms, budget, min_budget, siblings (children of the worker), formats
-- Returns the fencing token, then {ref, payload, request id} of each chunk; nothing when no chunk waits.
local WINDOW, MAX_WINDOWS, LEASES_TTL_MS, MAX_RETURNS = 128, 64, 3600000, 2
local pending, leased, leases = keys.pending .. args.class, keys.leased .. args.class, keys.leases .. args.worker

-- A child holds one lease at a time: what is still its own was leased by a call whose answer it never got. Returns
-- that answer, with a lease of the full time; nothing when the child holds nothing of this class. The token tells
-- its lease from a later one of another child, whose ref may be equal: not every lease counts as an attempt.
local function unanswered()
  local answer = {}
  local held = redis.call('HGETALL', leases)
  for i = 1, #held, 2 do
    local pid, token = string.match(held[i + 1], '^(%d+) (%d+)$')
    local chunk = pid == tostring(args.pid) and ref.parse(held[i])
    local holder = chunk and redis.call('HGET', chunk.job .. ':tokens', chunk.start)
    local texts = holder == token and redis.call('HGET', chunk.job .. ':chunks', chunk.start)
    local record = texts and redis.call('HMGET', chunk.job, 'class', 'request')
    if record and record[1] == args.class then
      redis.call('ZADD', leased, now + args.lease_ms, chunk.text)
      answer[1] = tonumber(token)
      answer[#answer + 1] = {chunk.text, texts, record[2] or ''}
    elseif chunk and not record then
      redis.call('HDEL', leases, chunk.text)
      if not holder then
        redis.call('ZREM', leased, chunk.text)
      end
    end
  end
  return answer
end

local readable, skipped = {}, 0
for _, format in ipairs(args.formats) do
  readable[tostring(format)] = true
end

-- Returns the oldest chunks that are to be scored, and their cost. Drops chunks that are done, and those of jobs
-- that are overdue, canceled or deleted.
local function oldest()
  local open, cost, unreadable = {}, 0, 0
  for _, text in ipairs(redis.call('ZRANGE', pending, skipped, skipped + WINDOW - 1)) do
    local chunk = ref.parse(text)
    local record = redis.call('HMGET', chunk.job, 'deadline', 'cancel', 'format')
    local waits = redis.call('HEXISTS', chunk.job .. ':chunks', chunk.start) == 1
    local due = waits and not record[2] and tonumber(record[1] or 0) > now
    if due and not readable[record[3] or '1'] then
      unreadable = unreadable + 1
    elseif due then
      open[#open + 1], cost = chunk, cost + chunk.cost
    else
      redis.call('ZREM', pending, text)
    end
  end
  skipped = skipped + unreadable
  return open, cost
end

local function lease(chunk, token)
  local mine, tokens = ref.with_attempts(chunk, chunk.attempts + 1), chunk.job .. ':tokens'
  counters.observe('queue_s:' .. args.class, now - redis.call('ZSCORE', pending, chunk.text))
  redis.call('ZREM', pending, chunk.text)
  redis.call('ZADD', leased, now + args.lease_ms, mine)
  redis.call('HSET', leases, mine, string.format('%d %d', args.pid, token))
  redis.call('HSET', tokens, chunk.start, token)
  redis.call('PEXPIRE', tokens, redis.call('PTTL', chunk.job))
  if redis.call('HSETNX', chunk.job, 'started', now) == 1 then
    redis.call('HSET', chunk.job, 'status', 'running')
    redis.call('PUBLISH', keys.progress, chunk.id)
  end
  local texts = redis.call('HGET', chunk.job .. ':chunks', chunk.start)
  return {mine, texts, redis.call('HGET', chunk.job, 'request') or ''}
end

local known = unanswered()
if #known > 0 then
  return known
end
local windows, chunks, waiting = 0
repeat
  chunks, waiting = oldest()
  windows = windows + 1
until #chunks > 0 or windows == MAX_WINDOWS or redis.call('ZCARD', pending) <= skipped
if #chunks == 0 then
  return {}
end
-- Towards the end of the work leases get smaller, so that no child is left with the last large one.
local budget = math.min(args.budget, math.max(args.min_budget, waiting / (2 * args.siblings)))
local answer, spent = {redis.call('INCR', keys.fence)}, 0
for _, chunk in ipairs(chunks) do
  -- A chunk that was started before runs alone, so that a text that kills its child cannot take others along. So
  -- does one that several sick children returned: it may be what made them sick.
  local alone = chunk.attempts > 0 or chunk.returns >= MAX_RETURNS
  local fits = #answer == 1 or (not alone and spent + chunk.cost <= budget)
  if fits then
    answer[#answer + 1], spent = lease(chunk, answer[1]), spent + chunk.cost
  end
  if fits and alone or not (fits or alone) then
    break
  end
end
redis.call('PEXPIRE', leases, LEASES_TTL_MS)
return answer
