-- Answers a repeated call as it answered the first. A connection may break after Redis ran a script and before the
-- client has the answer; the client then sends the same call again, with the same id in `args.call`. Scripts that
-- can see by their own data that they have run already do without this.
local once, KEPT_MS = {}, 120000

-- Returns what `keep` was given in an earlier run of this call, else nil.
function once.answer()
  local answer = redis.call('GET', keys.answer .. args.call)
  return answer and cjson.decode(answer) or nil
end

-- Keeps the answer of this call, and returns it.
function once.keep(answer)
  redis.call('SET', keys.answer .. args.call, cjson.encode(answer), 'PX', KEPT_MS)
  return answer
end
