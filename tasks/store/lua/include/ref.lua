-- Refs name chunks in the queues: `job/start/cost/attempts/returns`, see ChunkRef in tasks/vocabulary/chunks.py.
local ref = {}

function ref.parse(text)
  local id, start, cost, attempts, returns = string.match(text, '^(.-)/(%d+)/(%d+)/(%d+)/(%d+)$')
  return {
    text = text, id = id, job = keys.job .. id, start = start, cost = cost, attempts = tonumber(attempts),
    returns = tonumber(returns),
  }
end

-- Returns the ref of a chunk with another number of attempts.
function ref.with_attempts(chunk, attempts)
  return string.format('%s/%s/%s/%d/%d', chunk.id, chunk.start, chunk.cost, attempts, chunk.returns)
end
