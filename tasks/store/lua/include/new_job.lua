-- What a new job writes, by the arguments of create_job.lua.
-- include: clock attachments deferred pending summary feed
-- args: job_id, queue, owner, format, total, deadline_ms, ttl_ms, fields, chunks, attachments, data_bytes, values,
--       upload, tombstone_ms
local new_job = {starts = math.max(now, tonumber(args.fields.not_before or 0))}
new_job.is_deferred = new_job.starts > now

function new_job.write_record(job)
  local deadline = new_job.starts + args.deadline_ms
  redis.call('HSET', job, 'status', 'queued', 'queue', args.queue, 'total', args.total, 'created', now,
    'deadline', deadline, 'ttl', args.ttl_ms, 'format', args.format)
  for field, value in pairs(args.fields) do
    redis.call('HSET', job, field, value)
  end
  if args.data_bytes then
    redis.call('HSET', job, 'data_bytes', args.data_bytes)
  end
  redis.call('ZADD', keys.open_jobs, deadline, args.job_id)
  if args.upload then
    feed.write(job, args.upload.writer, args.upload.seed, args.upload.digest)
    redis.call('ZADD', keys.uploads, now + args.upload.idle_timeout_ms, args.job_id)
  end
  if args.tombstone_ms then
    redis.call('SET', keys.tombstone .. args.job_id, args.ttl_ms, 'PX', args.tombstone_ms)
  end
end

function new_job.write_chunks(job)
  for i, chunk in ipairs(args.chunks) do
    redis.call('HSET', job .. ':chunks', chunk[1], payload(i))
  end
  -- Both outlive the deadline by the lifetime of results, so that nothing stays for ever, whatever dies.
  redis.call('PEXPIREAT', job, new_job.starts + args.deadline_ms + args.ttl_ms)
  redis.call('PEXPIREAT', job .. ':chunks', new_job.starts + args.deadline_ms + args.ttl_ms)
  if new_job.is_deferred then
    redis.call('ZADD', keys.deferred, new_job.starts, args.job_id)
    deferred.add(args.job_id, args.chunks)
  else
    pending.add(args.queue, args.owner, now, args.chunks)
  end
  summary.add_values(job, args.values)
  attachments.write(job, args.attachments, #args.chunks)
end

-- The list of an owner's jobs loses the oldest whose records are gone: two for each that comes, so that it stays
-- short.
function new_job.list()
  local listed = keys.jobs .. args.owner
  redis.call('ZADD', listed, 0, args.job_id)
  for _, oldest in ipairs(redis.call('ZRANGE', listed, 0, 1)) do
    if redis.call('EXISTS', keys.job .. oldest) == 0 then
      redis.call('ZREM', listed, oldest)
    end
  end
  local lives_ms = new_job.starts - now + args.deadline_ms + args.ttl_ms
  if redis.call('PTTL', listed) < lives_ms then
    redis.call('PEXPIRE', listed, lives_ms)
  end
end
