-- KEYS: the record, and its owner's index where that is on this machine.

local record, answer = find(KEYS[1], ARGV[3], ARGV[1])
if not record then return answer end
if record.owner and '=' .. record.owner ~= ARGV[4] then return record.owner end

local expires_at = later(record.expires_at, ARGV[2])
if record.owner and KEYS[2] then note(KEYS[2], KEYS[1], ARGV[1], expires_at) end
redis.call('HSET', KEYS[1], '$s', later(record.seen_at, ARGV[1]), '$x', expires_at)
expire(KEYS[1], ARGV[1], expires_at)
return DONE
