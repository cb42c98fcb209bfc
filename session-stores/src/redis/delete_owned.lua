-- KEYS: records that may be the owner's, all on this machine: at one moment, so that none escapes by a rename.
-- ARGV[1]: the owner.

local deleted, trouble = 0, nil
for _, key in ipairs(KEYS) do
  local record, answer = find(key, nil, 0)
  if record and record.owner == ARGV[1] then
    deleted = deleted + redis.call('DEL', key)
  elseif not record and answer ~= GONE then
    trouble = answer
  end
end
return trouble or deleted
