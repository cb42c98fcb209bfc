-- KEYS: the record, where it goes, and its owner's index where that is on this machine. Among the fields to set is the
-- new secret's hash, the first.

local record, answer = find(KEYS[1], ARGV[3], ARGV[1])
if not record then
  local moved = answer == GONE and find(KEYS[2], ARGV[12], ARGV[1])
  return moved and tonumber(moved.version) or answer
end
if redis.call('EXISTS', KEYS[2]) == 1 then return TAKEN end

local version = write(record, KEYS[1], KEYS[2], KEYS[3])
if type(version) == 'number' then redis.call('RENAME', KEYS[1], KEYS[2]) end
return version
