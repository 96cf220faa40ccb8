-- One step of a clinic's sequence: its tags changed, or are about to.
-- KEYS: state, steps, last, fences
-- ARGV: fence's name or '', its standing in microseconds, a fence to lower or '',
--       who writes, how many steps are kept, how many tags are kept, tags...
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if not whole(KEYS[1], KEYS[3], KEYS[4]) then anew(KEYS[1], KEYS[2], KEYS[3], KEYS[4]) end
local seq = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'seq', 1))
local tags, moved = {}, {}
for i = 7, #ARGV do
  tags[#tags + 1] = ARGV[i]
  moved[#moved + 1] = ARGV[i]
  moved[#moved + 1] = seq
end
redis.call('HSET', KEYS[3], unpack(moved))
if redis.call('HLEN', KEYS[3]) > tonumber(ARGV[6]) then
  redis.call('DEL', KEYS[3])
  redis.call('HSET', KEYS[3], mark, redis.call('HGET', KEYS[1], 'born'))
  redis.call('HSET', KEYS[1], 'floor', seq)
end
local joined = table.concat(tags, '\n')
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], seq .. '-0', 't', joined, 'a', string.format('%.0f', now), 'b', ARGV[4])
if ARGV[3] ~= '' then
  redis.call('HDEL', KEYS[4], ARGV[3])
end
if ARGV[1] ~= '' then
  redis.call('HSET', KEYS[4], ARGV[1], string.format('%.0f', now + ARGV[2]) .. '\n' .. joined)
end
return seq
