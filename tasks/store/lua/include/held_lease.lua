-- The lease that a child still holds. It holds one at a time: what is still its own was leased by a call whose answer
-- it never got.
-- include: clock ref
-- args: model, worker, pid (of the child), lease_ms
local held_lease = {key = keys.leases .. args.worker}

-- Forgets a chunk that the child no longer holds. If no child holds it, its job may be deleted and its class unknown:
-- it is removed from both.
local function forget(chunk, held)
  redis.call('HDEL', held_lease.key, chunk.text)
  for _, class in ipairs(held and {} or {'interactive', 'bulk'}) do
    redis.call('ZREM', keys.leased .. args.model .. ':' .. class, chunk.text)
  end
end

-- Returns the answer that the child never got, with a lease of the full time; nothing when the child holds nothing.
-- The token distinguishes its lease from a later one of another child, whose ref may be equal: not every lease counts
-- as an attempt.
function held_lease.renew()
  local answer = {}
  local held = redis.call('HGETALL', held_lease.key)
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
