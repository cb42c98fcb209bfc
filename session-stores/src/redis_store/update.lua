-- KEYS: the record; its key afterwards, which may be the same one; the owner's indexes, if there is an owner and they are
-- on this machine.

local from, to, ends, visits = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now = ARGV[1]
local hash = ARGV[2]
local new_hash = ARGV[3]
-- The version of the record that this write is based on.
local base = ARGV[4]
-- For an exact write, a random text that the record keeps; otherwise empty.
local nonce = ARGV[5]
local expires_at = ARGV[6]
-- '1' if this end replaces a later one.
local sets_end = ARGV[7] == '1'
-- The new record up to its version, and from its creation time on. Both are empty if nothing is left of it.
local before, after = ARGV[8], ARGV[9]
-- The tombstone, if the key changes.
local tombstone = ARGV[10]

local record, answer = find(from, hash, now)
if not record then
  -- The record under the new key is the result of an earlier attempt of this rename: its reply was lost.
  local moved = answer == GONE and from ~= to and find(to, new_hash, now)
  return moved and tonumber(moved.version) or answer
end
if record.version ~= base then
  -- The same nonce: this write was done before, and only its reply was lost.
  if nonce ~= '' and nonce == record.nonce then return tonumber(record.version) end
  -- Another request has written. The caller applies its changes to this record, and comes again.
  return redis.call('GET', from)
end
if from ~= to and find(to, nil, now) then return TAKEN end

if before == '' then
  if from == to then redis.call('DEL', from) else bury(from, tombstone) end
  return REMOVED
end

local seen_at = later(record.seen_at, now)
if not sets_end then expires_at = later(record.expires_at, expires_at) end
if ends then note(ends, visits, to, now, seen_at, expires_at) end
redis.call('SET', to, before .. seen_at .. expires_at .. after, 'PX', time_to_live(now, expires_at))
if from ~= to then
  bury(from, tombstone)
  if ends then
    redis.call('ZREM', ends, from:match('[^:]+$'))
    redis.call('ZREM', visits, from:match('[^:]+$'))
  end
end
return tonumber(before:sub(35, 54))
