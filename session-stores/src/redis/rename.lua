-- KEYS: the record; its new key; its owner's index, if there is an owner and the index is on this machine.
-- The first field to set is `$h`, with the hash of the new secret as its value.

local from, to, index = KEYS[1], KEYS[2], KEYS[3]
local new_hash = ARGV[FIRST_FIELD + 1]

local record, answer = find(from, hash, now)
if not record then
  -- The record under the new key is the result of an earlier attempt of this rename: its reply was lost.
  local moved = answer == GONE and find(to, new_hash, now)
  return moved and tonumber(moved.version) or answer
end
if redis.call('EXISTS', to) == 1 then return TAKEN end

local version = write(record, from, to, index)
if type(version) == 'number' then redis.call('RENAME', from, to) end
return version
