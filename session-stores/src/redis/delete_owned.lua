-- KEYS: records that may belong to the owner, all of one shard. A rename stays within its shard, so deleting the whole
-- shard in one script leaves no moment in which a session could move out of reach.

local owner = ARGV[1]

local deleted, trouble = 0, nil
for _, key in ipairs(KEYS) do
  local record, answer = find(key, nil, 0)
  if record and record.owner == owner then
    deleted = deleted + redis.call('DEL', key)
  elseif not record and answer ~= GONE then
    trouble = answer
  end
end
return trouble or deleted
