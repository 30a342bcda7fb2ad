-- Refs name chunks in the queues: `job/start/cost/attempts`, see ChunkRef in tasks/vocabulary/chunks.py.
local ref = {}

function ref.parse(text)
  local id, start, cost, attempts = string.match(text, '^(.-)/(%d+)/(%d+)/(%d+)$')
  return {text = text, id = id, job = keys.job .. id, start = start, cost = cost, attempts = tonumber(attempts)}
end

-- Returns the ref of a chunk with another number of attempts.
function ref.with_attempts(chunk, attempts)
  return string.format('%s/%s/%s/%d', chunk.id, chunk.start, chunk.cost, attempts)
end
