-- KEYS: an owner's indexes. The record is on another machine of the cluster.

local ends, visits = KEYS[1], KEYS[2]
local now = ARGV[1]
local seen_at = ARGV[2]
local expires_at = ARGV[3]
local record_key = ARGV[4]

note(ends, visits, record_key, now, seen_at, expires_at)
return DONE
