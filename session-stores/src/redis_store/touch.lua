-- KEYS: the record; the owner's indexes, if they are known and on this machine.

local key, ends, visits = KEYS[1], KEYS[2], KEYS[3]
local now = ARGV[1]
local hash = ARGV[2]
local expires_at = ARGV[3]
-- The application and the owner with indexes that name the session already, or nothing.
local noted = ARGV[4]

local record, answer = find(key, hash, now)
if not record then return answer end
local owner = owner_of(key, record)
if owner and owner ~= noted then return owner end

local seen_at, last_second = later(record.seen_at, now), later(record.expires_at, expires_at)
if owner and ends then note(ends, visits, key, now, seen_at, last_second) end
redis.call('SETRANGE', key, 54, seen_at .. last_second)
redis.call('PEXPIRE', key, time_to_live(now, last_second))
return DONE
