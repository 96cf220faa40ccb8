-- Makes the journal know a clinic, or opens it for values.
-- KEYS: state, steps, last, fences
-- ARGV: '' to know it, or the step with which it came to be known, to open it
if not whole(KEYS[1], KEYS[3], KEYS[4]) then
  if ARGV[1] == '' then anew(KEYS[1], KEYS[2], KEYS[3], KEYS[4]) end
elseif redis.call('HGET', KEYS[1], 'born') == ARGV[1] and redis.call('HEXISTS', KEYS[1], 'open') == 0 then
  redis.call('HSET', KEYS[1], 'open', string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'seq', 1)))
end
return redis.call('HMGET', KEYS[1], 'seq', 'born', 'open')
