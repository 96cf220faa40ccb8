-- Makes the ledger know a clinic, or opens it for values.
-- KEYS: state, steps, last, fences
-- ARGV: '' to know it, or the step with which it came to be known, to open it
if ARGV[1] == '' then
  if redis.call('HEXISTS', KEYS[1], 'seq') == 0 then
    local time = redis.call('TIME')
    local born = string.format('%.0f', time[1] * 1000000 + time[2])
    redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
    redis.call('HSET', KEYS[1], 'seq', born, 'born', born, 'floor', born)
  end
elseif redis.call('HGET', KEYS[1], 'born') == ARGV[1] and redis.call('HEXISTS', KEYS[1], 'open') == 0 then
  redis.call('HSET', KEYS[1], 'open', string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'seq', 1)))
end
return redis.call('HMGET', KEYS[1], 'seq', 'born', 'open')
