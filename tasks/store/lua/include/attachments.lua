-- What is kept of a chunk for the caller alone, beside its texts: parts of the job, by the start of the chunk.
-- A chunk that is split keeps it under its own start, and the others name that start as `@start`.
local attachments = {}
local PARTS = {':data'}

-- Writes attachments {part, start}, whose payloads follow those of `count` chunks, for as long as the record lives.
function attachments.write(job, given, count)
  for i, each in ipairs(given) do
    redis.call('HSET', job .. each[1], each[2], payload(count + i))
  end
  for _, part in ipairs(#given > 0 and PARTS or {}) do
    redis.call('PEXPIRE', job .. part, redis.call('PTTL', job))
  end
end

-- Has the parts {start, ref} of a chunk that was split name the chunk that has what is kept of their items.
function attachments.split(job, start, parts)
  for _, part in ipairs(PARTS) do
    local last = redis.call('HEXISTS', job .. part, start) == 1 and #parts or 0
    for i = 2, last do
      redis.call('HSET', job .. part, parts[i][1], '@' .. start)
    end
  end
end

-- Returns a function that reads a part for the chunk with a start: {start under which it is kept, payload}, without
-- the payload where it was read before; false if nothing is kept.
function attachments.reader(job, part)
  local any, known = redis.call('EXISTS', job .. part) == 1, {}
  return function(start)
    local value = any and redis.call('HGET', job .. part, start)
    if not value then
      return false
    end
    local origin = string.match(value, '^@(%d+)$')
    local kept_at = origin or tostring(start)
    if known[kept_at] then
      return {tonumber(kept_at)}
    end
    known[kept_at] = true
    return {tonumber(kept_at), origin and redis.call('HGET', job .. part, origin) or value}
  end
end
