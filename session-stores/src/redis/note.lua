-- KEYS: an owner's index. The record is on another machine of the cluster.

local index = KEYS[1]
local now = ARGV[1]
local expires_at = ARGV[2]
local record_key = ARGV[3]

note(index, record_key, now, expires_at)
return DONE
