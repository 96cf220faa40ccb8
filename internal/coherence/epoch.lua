-- Begins an epoch, which has never been: also where Redis lost the last one.
-- KEYS: epoch
local time = redis.call('TIME')
local epoch = time[1] * 1000000 + time[2]
local last = redis.call('GET', KEYS[1])
if last and tonumber(last) >= epoch then epoch = tonumber(last) + 1 end
redis.call('SET', KEYS[1], string.format('%.0f', epoch))
return string.format('%.0f', epoch)
