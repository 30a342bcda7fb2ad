-- Stops the deadlines of jobs whose work is paused, and has those of others go on.
-- include: clock pauses stopped
-- args: ids; or cursor and count (a slice of all open jobs), version (of `unsettled` when the walk through them began)
-- Returns the cursor of the next slice, '0' behind the last one.
local since = {}

local function paused_since(queue, owner)
  local line = queue .. ':' .. owner
  if since[line] == nil then
    since[line] = pauses.since(queue, owner) or false
  end
  return since[line]
end

local function settle(id)
  local record = redis.call('HMGET', keys.job .. id, 'queue', 'owner', 'paused_at', 'cancel', 'finished')
  if not record[1] or record[5] then
    return
  end
  local at = paused_since(record[1], record[2] or '')
  if at and not record[3] and not record[4] then
    stopped.stop(id, at)
  elseif record[3] and not at then
    stopped.go_on(id)
  end
end

for _, id in ipairs(args.ids or {}) do
  settle(id)
end
if not args.cursor then
  return '0'
end
local slice = redis.call('ZSCAN', keys.open_jobs, args.cursor, 'COUNT', args.count)
for i = 1, #slice[2], 2 do
  settle(slice[2][i])
end
if slice[1] == '0' and redis.call('GET', keys.unsettled) == args.version then
  redis.call('DEL', keys.unsettled)
end
return slice[1]
