-- Deadlines that stand still, because the work of their jobs is paused. The record says since when, `paused_at`, and
-- which deadline the job had then, `paused_deadline`. Until it goes on, its `deadline` and the end of its keys are far
-- ahead, so that nothing expires. `paused_ms` is how long it stood still in all pauses that are over, `resumed_at` when
-- the last of them ended.
-- include: clock kept
local stopped = {}
local FAR_MS = 315360000000 -- ten years

local function live_until(id, owner, at)
  local job = keys.job .. id
  redis.call('PEXPIREAT', job, at)
  for _, parts in ipairs({keys.work_parts, keys.result_parts}) do
    for _, part in ipairs(parts) do
      redis.call('PEXPIREAT', job .. part, at)
    end
  end
  kept.expires(owner, id, at)
  for _, listed in ipairs({keys.jobs .. owner, keys.owner_open_jobs .. owner}) do
    if redis.call('PTTL', listed) < at - now then
      redis.call('PEXPIREAT', listed, at)
    end
  end
end

-- Stops the deadline of a job as of a time.
function stopped.stop(id, since)
  local job = keys.job .. id
  local record = redis.call('HMGET', job, 'deadline', 'owner', 'created')
  redis.call('HSET', job, 'paused_at', string.format('%.0f', math.max(since, record[3])), 'paused_deadline', record[1],
    'deadline', now + FAR_MS)
  redis.call('ZADD', keys.open_jobs, 'XX', now + FAR_MS, id)
  live_until(id, record[2] or '', now + FAR_MS)
  -- Who waits for the job may not want to any longer.
  redis.call('PUBLISH', keys.finished, id)
end

-- Has the deadline of a job go on, later by how long it stood still.
function stopped.go_on(id)
  local job = keys.job .. id
  local record = redis.call('HMGET', job, 'paused_at', 'paused_deadline', 'not_before', 'ttl', 'owner', 'cancel')
  local stood = math.max(0, now - math.max(record[1], record[3] or 0))
  local deadline = record[2] + stood
  redis.call('HDEL', job, 'paused_at', 'paused_deadline')
  redis.call('HSET', job, 'deadline', deadline, 'resumed_at', now)
  redis.call('HINCRBY', job, 'paused_ms', stood)
  if not record[6] then
    redis.call('ZADD', keys.open_jobs, 'XX', deadline, id)
  end
  live_until(id, record[5] or '', deadline + record[4])
  redis.call('PUBLISH', keys.progress, id)
end
