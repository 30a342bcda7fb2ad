-- `now`: Redis's clock in ms since the epoch, the only clock that counts.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
