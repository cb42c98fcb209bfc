-- KEYS: the record; the owner's index, if there is an owner and the index is on this machine.
-- ARGV[5..]: the record's fields and values.

local key, index = KEYS[1], KEYS[2]
local now = ARGV[1]
local expires_at = ARGV[2]
local hash = ARGV[3]
local FIRST_FIELD = 5

local record, answer = find(key, nil, now)
if record then return record.hash == hash and DONE or TAKEN end
if answer ~= GONE then return answer end

if index then note(index, key, now, expires_at) end
-- An expired record may still be there. DEL only runs if one is: Redis checks `maxmemory` before the first write of a
-- script, and DEL is allowed in a full Redis, so the HSET after it would no longer be refused.
if redis.call('EXISTS', key) == 1 then redis.call('DEL', key) end
each('HSET', key, FIRST_FIELD, #ARGV)
expire(key, now, expires_at)
return DONE
