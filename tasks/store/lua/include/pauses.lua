-- What operators have paused: nothing of it is leased, it is no backlog, and its deadlines stand still.
--
--   pauses                 `class:CLASS`, `model:NAME` or `owner:ID` -> JSON of which `since` is in ms
--   parked:{queue}         owners that are paused there and have chunks that wait, as `waiting:{queue}` (pending.lua)
--   parked_shares:{queue}, parked_lines:{queue}
--                          lines of owners that are paused there, as `shares:` and `lines:` (backlog.lua)
--
-- A lease looks only where nothing is parked, so that pauses cost it nothing.
local pauses = {}

-- Returns since when work of an owner in a queue is paused, in ms; nil if it is not.
function pauses.since(queue, owner)
  local model, class = string.match(queue, '^([^:]*):(.*)$')
  local since
  for _, pause in ipairs(redis.call('HMGET', keys.pauses, 'class:' .. class, 'model:' .. model, 'owner:' .. owner)) do
    local at = pause and cjson.decode(pause).since
    since = at and math.min(at, since or at) or since
  end
  return since
end

-- Returns whether the line of an owner is parked, or would be if it began now.
function pauses.parks(queue, owner)
  local field = 'items:' .. owner
  if redis.call('HEXISTS', keys.parked_lines .. queue, field) == 1 then
    return true
  end
  return redis.call('HEXISTS', keys.lines .. queue, field) == 0 and pauses.since(queue, owner) ~= nil
end
