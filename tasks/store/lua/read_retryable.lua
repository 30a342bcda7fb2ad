-- Reads the texts that are worth a retry, with the results and attachments of their chunks.
-- include: attachments
-- args: job_id, starts (of chunks)
-- Returns {start, texts, results, attached} of each chunk that has any; `attached` as attachments.lua reads it.
local job, read = keys.job .. args.job_id, {}
local attached_to = attachments.reader(job)
for _, start in ipairs(args.starts) do
  local texts = redis.call('HGET', job .. ':retryable', start)
  local results = redis.call('HGET', job .. ':results', start)
  if texts and results then
    read[#read + 1] = {start, texts, string.match(results, '^%d+ (.*)$'), attached_to(start)}
  end
end
return read
