-- What is kept of a chunk for the caller alone, beside its texts: `job:{id}:attachments`, by the start of the chunk.
-- A chunk that is split keeps it under its own start, and the others name that start as `@start`.
local attachments = {}

-- Writes what is attached to the chunks with these starts, whose payloads follow those of `count` chunks. It lives as
-- long as the record.
function attachments.write(job, starts, count)
  for i, start in ipairs(starts) do
    redis.call('HSET', job .. ':attachments', start, payload(count + i))
  end
  if #starts > 0 then
    redis.call('PEXPIRE', job .. ':attachments', redis.call('PTTL', job))
  end
end

-- Has the parts {start, ref} of a chunk that was split name the chunk that has what is attached to their items.
function attachments.split(job, start, parts)
  local last = redis.call('HEXISTS', job .. ':attachments', start) == 1 and #parts or 0
  for i = 2, last do
    redis.call('HSET', job .. ':attachments', parts[i][1], '@' .. start)
  end
end

-- Returns a function that reads what is attached to the chunk with a start: {start under which it is kept, payload},
-- without the payload where it was read before; false for nothing.
function attachments.reader(job)
  local key, known = job .. ':attachments', {}
  local any = redis.call('EXISTS', key) == 1
  return function(start)
    local value = any and redis.call('HGET', key, start)
    if not value then
      return false
    end
    local origin = string.match(value, '^@(%d+)$')
    local kept_at = origin or tostring(start)
    if known[kept_at] then
      return {tonumber(kept_at)}
    end
    known[kept_at] = true
    return {tonumber(kept_at), origin and redis.call('HGET', key, origin) or value}
  end
end
