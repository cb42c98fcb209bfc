-- KEYS: the record; its owner's index, if there is an owner and the index is on this machine.

local key, index = KEYS[1], KEYS[2]

local record, answer = find(key, hash, now)
if not record then return answer end
return write(record, key, key, index)
