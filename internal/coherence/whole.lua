-- What the journal's scripts share; it stands before each of them.
--
-- A clinic's state, last and fences mean something only together. Redis may lose
-- one and not the others: by eviction, or because somebody deletes it. A tag that
-- is not in last would then count as never changed, a fence that is gone as taken
-- off. So last and fences carry, in a field that no tag and no fence is called,
-- the step with which the clinic came to be known, as state does. Where the three
-- do not agree nothing is known.
local mark = '='
local function whole(state, last, fences)
  local born = redis.call('HGET', state, 'born')
  return born and redis.call('HGET', last, mark) == born and redis.call('HGET', fences, mark) == born
end
-- anew makes the journal know a clinic of which it knows nothing, or only a part.
local function anew(state, steps, last, fences)
  local time = redis.call('TIME')
  -- The time is beyond every step that a lost sequence can have had.
  local born = time[1] * 1000000 + time[2]
  local seq = redis.call('HGET', state, 'seq')
  if seq and tonumber(seq) >= born then born = tonumber(seq) + 1 end
  born = string.format('%.0f', born)
  redis.call('DEL', state, steps, last, fences)
  redis.call('HSET', state, 'seq', born, 'born', born, 'floor', born)
  redis.call('HSET', last, mark, born)
  redis.call('HSET', fences, mark, born)
end
