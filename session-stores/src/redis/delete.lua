-- KEYS: the record. ARGV[1]: the secret's hash; without it, anybody's.

local record, answer = find(KEYS[1], ARGV[1], 0)
if not record then return answer end
redis.call('DEL', KEYS[1])
return record.owner or DONE
