-- Records a job with its chunks, before any wake-up is published. Running it twice is harmless.
-- include: clock backlog admission kept open_jobs once summary new_job pauses stopped wakeups
-- args: job_id, queue, owner, format, total, cost, deadline_ms, ttl_ms, fields (of the record, kept as they are),
--       admission (a request, see admission.lua), chunks (start and ref of each, payloads follow), attachments
--       (starts of chunks, payloads follow behind those); and where they apply: data_bytes (of the items), values (of
--       the summary, each {group, JSON}), unlisted (not in the list of its owner), upload {writer, seed, digest (see
--       feed.lua), idle_timeout_ms}, tombstone_ms, key {name, fingerprint, ttl_ms} (the idempotency key), secret_hash
--       (SHA-1 of the secret that signed the id, if Redis holds it), wakes (the caller publishes wake-ups for it),
--       audit (stream of the audit log, its length, names and values of an entry)
-- Returns {created, place (-1 if it is deferred), since when it is paused, or 0, wake-ups to publish}; 'another secret'
-- when Redis does not hold that one; what the idempotency key holds when another job has it; {reason, ms} when refused,
-- of which 'retired' says that the model takes no new jobs, and 'closed' that the job whose shadow it would be is gone
-- or canceled, or that this upload was erased.
local job, key = keys.job .. args.job_id, args.key
local shadowed = args.fields.shadow_of and keys.job .. args.fields.shadow_of

local model = string.match(args.queue, '^[^:]*')

local function answer(created, place, paused_at)
  local waits = args.wakes and place >= 0 and paused_at == 0
  return {created, place, paused_at, waits and wakeups.due(model, #args.chunks, args.job_id .. ' 0') or 0}
end

local known = redis.call('HMGET', job, 'created', 'place', 'paused_at')
if known[1] then
  return answer(tonumber(known[1]), tonumber(known[2] or -1), tonumber(known[3] or 0))
end
if args.secret_hash and redis.sha1hex(redis.call('GET', keys.id_secret) or '') ~= args.secret_hash then
  return 'another secret'
end
-- It was erased before this call came, which Redis held up longer than its caller waited.
if args.upload and redis.call('GET', keys.tombstone .. args.job_id) == 'deleted' then
  return {'closed', 0}
end
local refused = once.answer()
if refused then
  return refused
end
local mine = key and key.fingerprint .. ' ' .. args.job_id
local remembered = key and redis.call('GET', key.name)
if remembered and not (args.upload and remembered == mine) then
  return remembered
end
if redis.call('SISMEMBER', keys.retired, model) == 1 then
  return {'retired', 0}
end
local of = shadowed and redis.call('HMGET', shadowed, 'status', 'cancel')
if of and (not of[1] or of[2]) then
  return {'closed', 0}
end
local kept_of_chunks = kept.of_chunks(#args.chunks, #args.attachments)
local bytes = kept.of_record(args.fields) + kept_of_chunks + summary.of_values(args.values)
local paused = pauses.since(args.queue, args.owner)
args.admission.deferred = new_job.is_deferred or paused
local refusal = admission.refusal(args.queue, args.admission, args.total, args.cost, bytes)
if refusal then
  return once.keep(refusal)
end
if key then
  redis.call('SET', key.name, mine, 'PX', key.ttl_ms)
end
new_job.write_record(job)
new_job.write_chunks(job)
if not args.unlisted then
  new_job.list()
end
if shadowed then
  redis.call('HSET', shadowed, 'shadow', args.job_id)
else
  open_jobs.add(args.owner, args.job_id)
end
kept.change(args.owner, args.job_id, bytes)
kept.expires(args.owner, args.job_id, new_job.starts + args.deadline_ms + args.ttl_ms)
if paused then
  stopped.stop(args.job_id, paused)
end
if args.audit then
  redis.call('XADD', args.audit[1], 'MAXLEN', '~', args.audit[2], '*', unpack(args.audit, 3))
end
if new_job.is_deferred then
  backlog.defer(job, args.queue, args.owner, args.total, args.cost)
  return answer(now, -1, paused and now or 0)
end
return answer(now, backlog.join(job, args.queue, args.owner, args.total, args.cost), paused and now or 0)
