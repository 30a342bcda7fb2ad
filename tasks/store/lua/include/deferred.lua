-- Jobs that may not be leased before a time. Their chunks are no part of the backlog until then:
--
--   deferred          ids of such jobs, by that time
--   job:{id}:deferred refs of the chunks, in input order
--
-- include: clock backlog pending ref
local deferred = {}

-- Returns whether chunks of a job wait for its time, or are being released.
function deferred.has(id)
  return redis.call('ZSCORE', keys.deferred, id) and true or false
end

-- Adds chunks, of which each is {start, ref}.
function deferred.add(id, chunks)
  local key = keys.job .. id .. ':deferred'
  for _, chunk in ipairs(chunks) do
    redis.call('RPUSH', key, chunk[2])
  end
  redis.call('PEXPIRE', key, redis.call('PTTL', keys.job .. id))
end

-- Makes up to `limit` chunks of a job pending whose time has come. Returns how many.
function deferred.release(id, limit)
  local job = keys.job .. id
  local fields = {'queue', 'owner', 'total', 'cost', 'place', 'succeeded', 'failed', 'timed_out', 'canceled'}
  local record = redis.call('HMGET', job, unpack(fields))
  local texts = record[1] and redis.call('LPOP', job .. ':deferred', limit) or {}
  if #texts < limit then
    redis.call('ZREM', keys.deferred, id)
  end
  if #texts == 0 then
    return 0
  end
  local open, chunks = tonumber(record[3]), {}
  for i = 6, #fields do
    open = open - (record[i] or 0)
  end
  if not record[5] then
    backlog.enter(job, record[1], record[2] or '', open, tonumber(record[4] or 0))
    redis.call('HINCRBY', keys.backlog .. record[1], 'deferred', 0 - open)
  end
  for i, text in ipairs(texts) do
    chunks[i] = {ref.parse(text).start, text}
  end
  pending.add(record[1], record[2] or '', now, chunks)
  return #texts
end
