-- The chunks of a queue that a child may lease next.
-- include: clock pending ref
-- args: formats (that the child reads)
local candidates = {}
local WINDOW, MAX_LOOKS = 128, 8192
local readable, records, changed, looks = {}, {}, {}, 0
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

-- Takes a chunk from the queue.
function candidates.take(queue, owner, chunk)
  local key = pending.key(queue, owner)
  redis.call('ZREM', key, chunk.text)
  changed[key] = {queue, owner}
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
      local record = candidates.record_of(chunk.job)
      if not record.due or redis.call('HEXISTS', chunk.job .. ':chunks', chunk.start) == 0 then
        candidates.take(queue, owner, chunk)
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
function candidates.oldest(queue)
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

-- Orders the owners anew of whom chunks were taken.
function candidates.reorder_owners()
  for _, each in pairs(changed) do
    pending.reorder(each[1], each[2])
  end
end
