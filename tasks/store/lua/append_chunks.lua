-- Adds chunks to a job whose upload is still open. Chunks come in order, so those before `total` are there already.
-- include: clock attachments counters backlog deferred kept feed pending summary
-- args: job_id, writer and digest (see feed.lua), items, cost, idle_timeout_ms, chunks (start and ref of each,
--       payloads follow), attachments (starts of chunks, payloads follow behind those), data_bytes (of the
--       items), max_data_bytes (of a job); and where they apply: values (of the summary that are new), key (Redis key
--       of the idempotency key), kept_limit (bytes that the owner may keep)
-- Returns 1; 0 when the upload is not open for this writer: closed, canceled, overdue, deleted, or taken by another;
-- {'kept', ms until there may be room} when the owner may keep no more; {'data', 0} when the job would have too much
-- data.
local job = keys.job .. args.job_id
local record = redis.call('HMGET', job, 'uploading', 'deadline', 'owner', 'total', 'data_bytes', 'queue', 'place')
local writer, seed = feed.parse(record[1])
if writer ~= args.writer or tonumber(record[2]) <= now then
  return 0
elseif args.chunks[1][1] < tonumber(record[4]) then
  return 1
end
if (record[5] or 0) + args.data_bytes > args.max_data_bytes then
  return {'data', 0}
end
local owner, queue = record[3] or '', record[6]
local bytes = kept.of_chunks(#args.chunks, #args.attachments) + summary.of_values(args.values)
local ms = kept.ms_until_room(owner, bytes, args.kept_limit)
if ms then
  counters.increment('refused:storage_quota_exceeded', 1)
  return {'kept', ms}
end
kept.change(owner, args.job_id, bytes)
redis.call('HINCRBY', job, 'total', args.items)
feed.write(job, writer, seed, args.digest)
local waits = deferred.has(args.job_id)
local count = waits and not record[7] and backlog.defer or backlog.join
count(job, queue, owner, args.items, args.cost)
for i, chunk in ipairs(args.chunks) do
  redis.call('HSET', job .. ':chunks', chunk[1], payload(i))
end
if waits then
  deferred.add(args.job_id, args.chunks)
else
  pending.add(queue, owner, now, args.chunks)
end
redis.call('PEXPIRE', job .. ':chunks', redis.call('PTTL', job))
summary.add_values(job, args.values)
if args.data_bytes > 0 then
  redis.call('HINCRBY', job, 'data_bytes', args.data_bytes)
end
attachments.write(job, args.attachments, #args.chunks)
redis.call('ZADD', keys.uploads, now + args.idle_timeout_ms, args.job_id)
if args.key then
  redis.call('PEXPIRE', args.key, args.idle_timeout_ms)
end
return 1
