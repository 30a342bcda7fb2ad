-- Keeps the last attempt of a chunk apart. A text may take along its whole worker, and with it what the other children
-- hold: that counts as an attempt of theirs too. A chunk on its last attempt shares a worker with none that ran before,
-- so that what is given up then has killed its child by itself.
-- include: ref
-- args: worker, max_attempts
local last_attempts = {}
local worker_holds

local function is_last(attempts)
  return attempts >= args.max_attempts
end

-- Returns whether children of the worker hold a chunk that `ran` before, and one on its `last` attempt. What is held
-- counts the lease that it is held by; what a child lost, and still stands there, does not count.
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
