-- What Redis keeps of each owner's jobs, in bytes: texts, results, what the caller gave beside them, and about what
-- Redis itself needs for a record, a chunk and an attachment.
--
--   kept                owner -> bytes of all its jobs
--   kept_jobs:{owner}   job -> bytes
--   kept_until:{owner}  job -> ms at which its record expires, which happens in silence: `free_expired` looks
--
-- include: clock
local kept = {}
local RECORD_BYTES, CHUNK_BYTES, ATTACHMENT_BYTES = 1500, 200, 100

-- Returns the bytes of `count` chunks, whose texts are the first payloads, and of the attachments that follow.
function kept.of_chunks(count, attached)
  local bytes = count * CHUNK_BYTES + attached * ATTACHMENT_BYTES
  for i = 1, count + attached do
    bytes = bytes + #payload(i)
  end
  return bytes
end

-- Returns the bytes of a record with these fields.
function kept.of_record(fields)
  local bytes = RECORD_BYTES
  for field, value in pairs(fields) do
    bytes = bytes + #field + #value
  end
  return bytes
end

function kept.change(owner, id, bytes)
  redis.call('HINCRBY', keys.kept_jobs .. owner, id, bytes)
  redis.call('HINCRBY', keys.kept, owner, bytes)
end

-- Charges `count` chunks, whose texts are the first payloads, in place of the chunk that they were split from.
function kept.replace_chunk(id, start, count)
  local job = keys.job .. id
  local replaced = CHUNK_BYTES + redis.call('HSTRLEN', job .. ':chunks', start)
  kept.change(redis.call('HGET', job, 'owner') or '', id, kept.of_chunks(count, 0) - replaced)
end

-- Notes when a record will expire.
function kept.expires(owner, id, at)
  redis.call('ZADD', keys.kept_until .. owner, at, id)
end

-- Counts out a job that is erased; a second call changes nothing.
function kept.free(owner, id)
  local bytes = redis.call('HGET', keys.kept_jobs .. owner, id)
  redis.call('ZREM', keys.kept_until .. owner, id)
  redis.call('HDEL', keys.kept_jobs .. owner, id)
  if bytes and redis.call('HINCRBY', keys.kept, owner, 0 - bytes) <= 0 then
    redis.call('HDEL', keys.kept, owner)
  end
end

-- Counts out up to `limit` jobs of an owner that have expired. Returns how many it looked at.
function kept.free_expired(owner, limit)
  local due = redis.call('ZRANGEBYSCORE', keys.kept_until .. owner, 0, now, 'LIMIT', 0, limit)
  for _, id in ipairs(due) do
    local left = redis.call('PTTL', keys.job .. id)
    if left == -2 then
      kept.free(owner, id)
    else
      kept.expires(owner, id, now + math.max(left, 1000))
    end
  end
  return #due
end

-- Returns nil if the owner stays within `limit` with these bytes; else the ms until the first of its jobs expires.
function kept.ms_until_room(owner, bytes, limit)
  if not limit or (redis.call('HGET', keys.kept, owner) or 0) + bytes <= limit then
    return nil
  end
  kept.free_expired(owner, 100)
  if (redis.call('HGET', keys.kept, owner) or 0) + bytes <= limit then
    return nil
  end
  local first = redis.call('ZRANGE', keys.kept_until .. owner, 0, 0, 'WITHSCORES')[2]
  return math.max(1000, (first or now) - now)
end
