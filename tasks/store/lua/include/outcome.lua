-- Writes the outcome of one chunk: its results, its place in the order of completion, the texts worth a retry, and
-- its part of the summary; and counts it, also as the owner's usage. `results` begin with the number of items.
-- include: counters kept summary usage
local function write_outcome(job, chunk, results, retryable)
  local left = redis.call('PTTL', job)
  local function put(part, command, ...)
    redis.call(command, job .. part, ...)
    redis.call('PEXPIRE', job .. part, left)
  end
  local texts = redis.call('HSTRLEN', job .. ':chunks', chunk.start)
  redis.call('HDEL', job .. ':chunks', chunk.start)
  redis.call('HDEL', job .. ':tokens', chunk.start)
  put(':results', 'HSET', chunk.start, results)
  local record = redis.call('HMGET', job, 'total', 'uploading', 'owner', 'queue')
  local grown = summary.add(job, chunk.model, chunk.tallies, chunk.counters, chunk.aspects)
  kept.change(record[3] or '', string.sub(job, #keys.job + 1), #results + #retryable + grown - texts)
  if record[2] or chunk.items < tonumber(record[1]) then
    -- A job of one chunk needs no list of the order in which its chunks were completed.
    put(':completed', 'RPUSH', chunk.start)
  end
  if retryable ~= '' then
    put(':retryable', 'HSET', chunk.start, retryable)
  end
  counters.add(chunk.counters, record[4])
  usage.add(record[3] or '', record[4], chunk.usage)
end
