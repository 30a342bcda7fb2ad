-- Leaves an upload open without a request that feeds it, so that another one may take it at once.
-- include: feed
-- args: job_id, writer (the request that leaves it)
local job = keys.job .. args.job_id
local writer, seed, digest = feed.parse(redis.call('HGET', job, 'uploading'))
if writer == args.writer then
  feed.write(job, feed.NOBODY, seed, digest)
end
