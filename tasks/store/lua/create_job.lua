-- Records a job with its chunks before anything is published. Writing it twice is harmless.
-- KEYS: job, in, open, pending, tombstone, jobs of the owner, uploads, idempotency key
-- ARGV: prefix, job id, class, total, deadline_ms, keep_ms, tombstone_ms or '', silence_ms or '' unless it grows,
--       bodys hash or '', memory_ms of the idempotency key, fields to be kept as they are, as JSON,
--       cost, ask as JSON, then start, ref, payload for each chunk
-- Returns the time of creation and the ticket, or what is remembered of the idempotency key when another job has
-- it, or why there is no room and in how many ms there should be.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local prefix, id = ARGV[1], ARGV[2]
local grows = ARGV[8] ~= ''
local created = redis.call('HMGET', KEYS[1], 'created', 'ticket')
if created[1] then
  return {tonumber(created[1]), tonumber(created[2])}
end
if ARGV[9] ~= '' then
  local known = redis.call('GET', KEYS[8])
  if known and not (grows and known == ARGV[9] .. ' ' .. id) then
    return known
  end
end
local ask = cjson.decode(ARGV[13])
local refusal = backlog.refusal(KEYS[1], ARGV[3], ask, ARGV[4], ARGV[12], now)
if refusal then
  account.count(prefix, 'refused:' .. (refusal[1] == 'quota' and 'quota_exceeded' or 'service_full'), 1)
  return refusal
end
if ARGV[9] ~= '' then
  redis.call('SET', KEYS[8], ARGV[9] .. ' ' .. id, 'PX', ARGV[10])
end
local deadline = now + ARGV[5]
redis.call('HSET', KEYS[1], 'status', 'queued', 'class', ARGV[3], 'total', ARGV[4],
  'created', now, 'deadline', deadline, 'keep', ARGV[6])
for field, value in pairs(cjson.decode(ARGV[11])) do
  redis.call('HSET', KEYS[1], field, value)
end
for i = 14, #ARGV, 3 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])
  -- The fraction keeps a job's chunks in input order.
  redis.call('ZADD', KEYS[4], string.format('%.3f', now + i / 3000), ARGV[i + 1])
end
local ticket = backlog.join(KEYS[1], ARGV[3], ask.owner, ARGV[4], ARGV[12], now)
redis.call('ZADD', KEYS[3], deadline, id)
if grows then
  redis.call('HSET', KEYS[1], 'growing', 1)
  redis.call('ZADD', KEYS[7], now + ARGV[8], id)
end
-- Outlives the deadline by as long as results are kept, so that nothing stays for ever whatever dies.
redis.call('PEXPIREAT', KEYS[1], deadline + ARGV[6])
redis.call('PEXPIREAT', KEYS[2], deadline + ARGV[6])
if ARGV[7] ~= '' then
  redis.call('SET', KEYS[5], ARGV[6], 'PX', ARGV[7])
end
-- The list of jobs loses its oldest as their records go: two for each that comes, so that it cannot grow for ever.
redis.call('ZADD', KEYS[6], 0, id)
for _, old in ipairs(redis.call('ZRANGE', KEYS[6], 0, 1)) do
  if redis.call('EXISTS', prefix .. 'job:' .. old) == 0 then
    redis.call('ZREM', KEYS[6], old)
  end
end
if redis.call('PTTL', KEYS[6]) < ARGV[5] + ARGV[6] then
  redis.call('PEXPIRE', KEYS[6], ARGV[5] + ARGV[6])
end
return {now, ticket}
