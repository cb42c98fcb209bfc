-- KEYS: the record, and its owner's index where that is on this machine.

local record, answer = find(KEYS[1], ARGV[3], ARGV[1])
if not record then return answer end
return write(record, KEYS[1], KEYS[1], KEYS[2])
