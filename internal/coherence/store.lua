-- Keeps a value if nothing it depends on changed since its reader began, or is
-- being written.
-- KEYS: state, last, fences, value
-- ARGV: the reader's step, until when in microseconds, life in milliseconds, value, tags...
-- Without a value it only tells whether one would be kept.
local state = redis.call('HMGET', KEYS[1], 'seq', 'open', 'floor')
if not state[1] or not whole(KEYS[1], KEYS[2], KEYS[3]) then
  -- The next reader makes the journal know the clinic anew.
  redis.call('DEL', KEYS[1])
  return {'unknown', ''}
end
local since, seq = tonumber(ARGV[1]), tonumber(state[1])
if not state[2] or since < tonumber(state[2]) then return {'closed', ''} end
if since > seq or since < tonumber(state[3]) then return {'unknown', ''} end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if now > tonumber(ARGV[2]) then return {'late', ''} end
local tags = {'*'}
for i = 5, #ARGV do tags[i - 3] = ARGV[i] end
if since < seq then
  local last = redis.call('HMGET', KEYS[2], unpack(tags))
  for i = 1, #tags do
    if last[i] and tonumber(last[i]) > since then return {'changed', tags[i]} end
  end
end
local fences = redis.call('HGETALL', KEYS[3])
if #fences > 2 then
  local mine = {}
  for i = 1, #tags do mine[tags[i]] = true end
  for i = 1, #fences, 2 do if fences[i] ~= mark then
    local stop = string.find(fences[i + 1], '\n', 1, true)
    if now > tonumber(string.sub(fences[i + 1], 1, stop - 1)) then
      redis.call('HDEL', KEYS[3], fences[i])
    else
      for tag in string.gmatch(string.sub(fences[i + 1], stop + 1), '[^\n]+') do
        if tag == '*' or mine[tag] then return {'fenced', tag} end
      end
    end
  end end
end
if ARGV[4] ~= '' then
  redis.call('SET', KEYS[4], ARGV[4], 'PX', ARGV[3])
end
return {'', ''}
