-- The field `uploading` of a record, `writer seed digest`: the request that feeds the upload, the hash of the terms
-- that a request needs to resume it, and the hash of the terms and of all items that are recorded. `-` stands for
-- nobody: no request feeds the upload, or none may resume it. See Feed in tasks/vocabulary/feeds.py.
local feed = {NOBODY = '-'}

-- Returns writer, seed and digest of a field that was read; nothing where the upload is not open.
function feed.parse(field)
  return string.match(field or '', '^(%S+) (%S+) (%S+)$')
end

function feed.write(job, writer, seed, digest)
  redis.call('HSET', job, 'uploading', string.format('%s %s %s', writer, seed, digest))
end
