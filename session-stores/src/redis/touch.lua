-- KEYS: the record; its owner's index, if there is an owner and the index is on this machine.

local key, index = KEYS[1], KEYS[2]
local now = ARGV[1]
local expires_at = ARGV[2]
local hash = ARGV[3]
local noted_owner = ARGV[4]

local record, answer = find(key, hash, now)
if not record then return answer end
if record.owner and '=' .. record.owner ~= noted_owner then return record.owner end

local last_second = later(record.expires_at, expires_at)
if record.owner and index then note(index, key, now, last_second) end
redis.call('HSET', key, '$s', later(record.seen_at, now), '$x', last_second)
expire(key, now, last_second)
return DONE
