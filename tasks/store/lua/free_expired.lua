-- Counts out what owners keep of jobs that have expired.
-- include: clock kept
-- args: limit (jobs that one call looks at)
local left = args.limit
for _, owner in ipairs(redis.call('HKEYS', keys.kept)) do
  left = left - kept.free_expired(owner, left)
  if left == 0 then
    return
  end
end
