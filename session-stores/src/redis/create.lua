-- KEYS: the record, and its owner's index where that is on this machine. ARGV[5..]: fields and values.

local record, answer = find(KEYS[1], nil, ARGV[1])
if record then return record.hash == ARGV[3] and DONE or TAKEN end
if answer ~= GONE then return answer end

if KEYS[2] then note(KEYS[2], KEYS[1], ARGV[1], ARGV[2]) end
-- One that has expired may still be there. A script that deleted something may go on in a full Redis, so only then.
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('DEL', KEYS[1]) end
each('HSET', KEYS[1], 5, #ARGV)
expire(KEYS[1], ARGV[1], ARGV[2])
return DONE
