-- KEYS: the record.

local key = KEYS[1]
-- The hash of the secret. Without it, the record is deleted whatever its secret is.
local hash = ARGV[1]

local record, answer = find(key, hash, 0)
if not record then return answer end
redis.call('DEL', key)
return record.owner or DONE
