-- Put before the scripts that can end a job.
-- Ends a job whose items all have outcomes and which does not grow any more, records the delivery of its webhook
-- and wakes who waits for it;
-- of any other it only tells those who follow it that something changed.
local function conclude(prefix, id, now)
  local job = prefix .. 'job:' .. id
  local raw = redis.call('HMGET', job, 'total', 'keep', 'growing', 'cancel', 'error',
    'succeeded', 'failed', 'timed_out', 'canceled', 'created', 'class')
  local total = tonumber(raw[1])
  local succeeded, failed = tonumber(raw[6] or 0), tonumber(raw[7] or 0)
  local timed_out, canceled = tonumber(raw[8] or 0), tonumber(raw[9] or 0)
  if raw[3] or succeeded + failed + timed_out + canceled < total then
    redis.call('PUBLISH', prefix .. 'progress', id)
    return
  end
  local status = 'partial'
  if raw[4] and (canceled > 0 or raw[5]) then
    status = 'canceled'
  elseif timed_out > 0 then
    status = 'timed_out'
  elseif succeeded == total then
    status = 'succeeded'
  elseif succeeded == 0 then
    status = 'failed'
  end
  local expires = now + raw[2]
  redis.call('HSET', job, 'status', status, 'finished', now, 'expires', expires)
  redis.call('ZREM', prefix .. 'open', id)
  account.observe(prefix, 'job_s:' .. raw[11], now - raw[10])
  redis.call('UNLINK', job .. ':in', job .. ':tokens')
  redis.call('PEXPIREAT', job, expires)
  for _, part in ipairs({'out', 'order', 'kept'}) do
    redis.call('PEXPIREAT', job .. ':' .. part, expires)
  end
  -- Recorded in the step that ends the job: whatever dies from here on, its delivery is due.
  local webhook = redis.call('HGET', job, 'webhook')
  local wanted = webhook and cjson.decode(webhook)
  for _, event in ipairs(wanted and wanted.events or {}) do
    if event == 'job.' .. status then
      redis.call('HSET', job .. ':delivery', 'url', wanted.url, 'host', wanted.host, 'event', event,
        'state', 'pending', 'attempts', 0, 'ended', now, 'total', total, 'succeeded', succeeded,
        'failed', failed, 'timed_out', timed_out, 'canceled', canceled)
      redis.call('PEXPIRE', job .. ':delivery', 604800000)
      redis.call('ZADD', prefix .. 'deliveries', now, id)
    end
  end
  redis.call('PUBLISH', prefix .. 'finished', id)
end
