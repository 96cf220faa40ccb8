-- Counts a try of somebody's, in a window that all instances share.
-- KEYS: the guesser's
-- ARGV: now, since when who asks counts, tries made there that were not told, how many
--       there may be, the window's length; times in milliseconds
-- Gives whether the try may be made, how many were made, and since when.
local now, since, owed, most, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local kept = redis.call('HMGET', KEYS[1], 'made', 'since')
local made, began = 0, tonumber(kept[2] or '')
if began and math.abs(now - began) < window then
  made, since = tonumber(kept[1]) or most, began
end
made = math.min(made + owed, most)
local may = made < most
if may then made = made + 1 end
redis.call('HSET', KEYS[1], 'made', made, 'since', string.format('%.0f', since))
redis.call('PEXPIRE', KEYS[1], window)
return {may and 1 or 0, made, since}
