-- KEYS: the record; the owner's indexes, if there is an owner and they are on this machine.

local key, ends, visits = KEYS[1], KEYS[2], KEYS[3]
local now = ARGV[1]
local hash = ARGV[2]
local expires_at = ARGV[3]
local record = ARGV[4]

local found, answer = find(key, nil, now)
if found then return found.hash == hash and DONE or TAKEN end
if answer ~= GONE then return answer end
local head = head_of(key)
-- A tombstone that is still known. An expired record is replaced.
if head and head:sub(2, 2) ~= RECORD and head:sub(3, 34) == hash and now <= head:sub(55, 74) then return ENDED end

if ends then note(ends, visits, key, now, now, expires_at) end
redis.call('SET', key, record, 'PX', time_to_live(now, expires_at))
return DONE
