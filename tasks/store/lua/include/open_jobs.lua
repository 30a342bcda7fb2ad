-- The jobs of each owner that are not finished, without shadows: the set `open_jobs:{owner}`.
local open_jobs = {}
local MAX_MS = 23 * 86400000 -- longer than any job can live that is not paused
local MAX_LOOKS = 100 -- an owner may have a million of them, and each refused request looks

function open_jobs.add(owner, id)
  redis.call('SADD', keys.owner_open_jobs .. owner, id)
  if redis.call('PTTL', keys.owner_open_jobs .. owner) < MAX_MS then
    redis.call('PEXPIRE', keys.owner_open_jobs .. owner, MAX_MS)
  end
end

function open_jobs.remove(owner, id)
  redis.call('SREM', keys.owner_open_jobs .. owner, id)
end

-- Returns how many jobs of an owner are open; looks at some of them if these are `limit` or more.
function open_jobs.count(owner, limit)
  local key = keys.owner_open_jobs .. owner
  if redis.call('SCARD', key) >= limit then
    for _, id in ipairs(redis.call('SRANDMEMBER', key, MAX_LOOKS)) do
      local record = redis.call('HMGET', keys.job .. id, 'created', 'finished')
      -- A record may be gone in silence, and a program of an earlier version finishes a job without this set.
      if not record[1] or record[2] then
        redis.call('SREM', key, id)
      end
    end
  end
  return redis.call('SCARD', key)
end
