-- Finishes a job whose items all have outcomes and whose upload has closed: sets its status and lifetime, records
-- the delivery of its webhook and wakes who waits for it. Of any other job it only publishes that something
-- changed.
-- include: clock counters deliveries kept open_jobs stopped
local function final_status(total, job)
  if job.cancel and (job.canceled > 0 or job.error) then
    return 'canceled'
  elseif job.timed_out > 0 then
    return 'timed_out'
  elseif job.succeeded == total then
    return 'succeeded'
  end
  return job.succeeded == 0 and 'failed' or 'partial'
end

-- Recorded in the step that finishes the job: whatever dies from here on, its delivery is due.
local function record_delivery(id, job, status)
  local webhook = job.webhook and cjson.decode(job.webhook)
  for _, event in ipairs(webhook and webhook.events or {}) do
    if event == 'job.' .. status then
      local key, owner = keys.job .. id .. ':delivery', job.owner or ''
      redis.call('HSET', key, 'owner', owner, 'url', webhook.url, 'host', webhook.host, 'event', event,
        'state', 'pending', 'attempts', 0, 'ended', now, 'total', job.total, 'succeeded', job.succeeded,
        'failed', job.failed, 'timed_out', job.timed_out, 'canceled', job.canceled)
      if job.trace then
        redis.call('HSET', key, 'trace', job.trace)
      end
      redis.call('PEXPIRE', key, deliveries.TTL_MS)
      deliveries.schedule(owner, id, now)
      deliveries.log(id, now)
    end
  end
end

local function read_job(key)
  local job = {}
  local fields = {'uploading', 'cancel', 'error', 'queue', 'webhook', 'owner', 'trace', 'not_before', 'paused_at'}
  local numbers = {'total', 'ttl', 'created', 'succeeded', 'failed', 'timed_out', 'canceled', 'paused_ms'}
  for i, value in ipairs(redis.call('HMGET', key, unpack(fields))) do
    job[fields[i]] = value
  end
  for i, value in ipairs(redis.call('HMGET', key, unpack(numbers))) do
    job[numbers[i]] = tonumber(value or 0)
  end
  return job
end

local function conclude(id)
  local key = keys.job .. id
  local job = read_job(key)
  local done = job.succeeded + job.failed + job.timed_out + job.canceled
  if job.uploading or done < job.total then
    redis.call('PUBLISH', keys.progress, id)
    return
  end
  if job.paused_at then
    stopped.go_on(id)
    job = read_job(key)
  end
  local status, expires = final_status(job.total, job), now + job.ttl
  redis.call('HSET', key, 'status', status, 'finished', now, 'expires', expires)
  redis.call('ZREM', keys.open_jobs, id)
  open_jobs.remove(job.owner or '', id)
  local starts = math.max(job.created, tonumber(job.not_before or 0))
  counters.observe('job_s:' .. job.queue, now - starts - job.paused_ms)
  if job.not_before then
    redis.call('ZREM', keys.deferred, id)
  end
  for _, part in ipairs(keys.work_parts) do
    redis.call('UNLINK', key .. part)
  end
  redis.call('PEXPIREAT', key, expires)
  kept.expires(job.owner or '', id, expires)
  for _, part in ipairs(keys.result_parts) do
    redis.call('PEXPIREAT', key .. part, expires)
  end
  record_delivery(id, job, status)
  redis.call('PUBLISH', keys.finished, id)
end
