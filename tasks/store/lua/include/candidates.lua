-- The chunks of a queue that a child may lease next.
-- include: clock last_attempts pending ref turns
-- args: formats (that the child reads), worker, max_attempts
local candidates = {}
local WINDOW, OWNERS, MAX_LOOKS, MAX_RETURNS = 128, 16, 8192, 2
local MAX_SKIPS = 512 -- chunks of one owner that the child does not read, or not now: behind them come other owners
local readable, records, changed, looks, dropped = {}, {}, {}, 0, false
for _, format in ipairs(args.formats) do
  readable[tostring(format)] = true
end

-- Returns the record of a job: due, readable (by the child), request.
function candidates.record_of(job)
  if not records[job] then
    local read = redis.call('HMGET', job, 'deadline', 'cancel', 'format', 'request')
    local due = not read[2] and tonumber(read[1] or 0) > now
    records[job] = {due = due, readable = readable[read[3] or '1'], request = read[4] or ''}
  end
  return records[job]
end

-- Takes a chunk from the queue, at a price that its owner is charged.
function candidates.take(queue, owner, chunk, price)
  local key = pending.key(queue, owner)
  redis.call('ZREM', key, chunk.text)
  changed[key] = changed[key] or {queue = queue, owner = owner, price = 0}
  changed[key].price = changed[key].price + price
end

-- Adds an owner's oldest chunks that are to be scored to `found`: {chunks, cost, plain (cost of those that need not
-- run alone)}, until that is more than `enough`. Drops chunks that are done, and those of jobs that are overdue,
-- canceled or deleted.
local function add_oldest_of(queue, owner, found, enough)
  local key, before, skipped = pending.key(queue, owner), #found.chunks, 0
  local limit, read
  repeat
    -- What is dropped leaves the queue; what was found or skipped stays.
    local from = skipped + #found.chunks - before
    limit = WINDOW - #found.chunks
    read = redis.call('ZRANGE', key, from, from + limit - 1, 'WITHSCORES')
    for i = 1, #read, 2 do
      local chunk = ref.parse(read[i])
      local record = candidates.record_of(chunk.job)
      looks = looks + 1
      if not record.due or redis.call('HEXISTS', chunk.job .. ':chunks', chunk.start) == 0 then
        candidates.take(queue, owner, chunk, 0)
        dropped = true
      elseif record.readable and last_attempts.allow(chunk) then
        -- A chunk that was started before runs alone, so that a text that kills its child cannot take others along.
        -- So does one that several sick children returned: it may be what made them sick.
        chunk.alone = chunk.attempts > 0 or chunk.returns >= MAX_RETURNS
        chunk.owner, chunk.since, found.chunks[#found.chunks + 1] = owner, read[i + 1], chunk
        found.cost, found.plain = found.cost + chunk.cost, found.plain + (chunk.alone and 0 or chunk.cost)
      else
        skipped = skipped + 1
      end
      if found.plain > enough then
        return
      end
    end
    if #read == 0 and from == 0 then
      changed[key] = changed[key] or {queue = queue, owner = owner, price = 0}
    end
  until #found.chunks >= WINDOW or #read < 2 * limit or skipped >= MAX_SKIPS or looks >= MAX_LOOKS
end

-- Returns the chunks of a queue that are to be scored, by the turns of their owners and oldest first, and their cost.
-- It looks no further when those that need not run alone cost more than `enough`.
function candidates.first(queue, enough)
  turns.repair(queue)
  local found, from = {chunks = {}, cost = 0, plain = 0}, 0
  local owners
  local function done()
    return #found.chunks >= WINDOW or found.plain > enough or looks >= MAX_LOOKS
  end
  repeat
    owners = redis.call('ZRANGE', keys.turns .. queue, from, from + OWNERS - 1)
    for _, owner in ipairs(owners) do
      if not done() then
        add_oldest_of(queue, owner, found, enough)
      end
    end
    from = from + #owners
  until done() or #owners < OWNERS
  return found.chunks, found.cost
end

-- Returns whether the search ended early, and another one gets further: it would begin behind what this one dropped.
function candidates.left_some()
  return dropped and looks >= MAX_LOOKS
end

-- Charges the owners of whom chunks were taken, and orders them anew.
function candidates.reorder_owners()
  for _, each in pairs(changed) do
    if each.price > 0 then
      turns.charge(each.queue, each.owner, each.price)
    end
    pending.reorder(each.queue, each.owner)
  end
end
