-- Isolates the last attempt of a chunk. A text may kill its whole worker: then the chunks that the other children hold
-- lose an attempt too. A worker that holds a chunk on its last attempt holds no other chunk that was tried before, so
-- that a chunk is not given up for a text in another child.
-- include: ref
-- args: worker, max_attempts
local last_attempts = {}
local worker_holds

local function is_last(attempts)
  return attempts >= args.max_attempts
end

-- Returns whether children of the worker hold a chunk that `ran` before, and one on its `last` attempt. The attempts in
-- a ref include the present lease. A lease whose token is not that of the chunk is over, and does not count.
local function look()
  local found, leases = {ran = false, last = false}, redis.call('HGETALL', keys.leases .. args.worker)
  for i = 1, #leases, 2 do
    local chunk, token = ref.parse(leases[i]), string.match(leases[i + 1], ' (%d+)$')
    if chunk.attempts > 1 and redis.call('HGET', chunk.job .. ':tokens', chunk.start) == token then
      found.ran, found.last = true, found.last or is_last(chunk.attempts)
    end
  end
  return found
end

-- Returns whether a child of the worker may lease a chunk now.
function last_attempts.allow(chunk)
  if chunk.attempts == 0 then
    return true
  end
  worker_holds = worker_holds or look()
  return not (worker_holds.last or is_last(chunk.attempts + 1) and worker_holds.ran)
end
