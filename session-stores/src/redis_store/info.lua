-- KEYS: records, all of one shard. Replies with each record without its entries, and with an empty text for what is no
-- record.

-- '1' if records that cannot be read are left out, and 'F' if records of the former layout are left out too.
local skips_former = ARGV[1] == 'F'
local skips = skips_former or ARGV[1] == '1'

local infos = {}
for at, key in ipairs(KEYS) do
  local head, answer = head_of(key)
  if (answer == FORMER and not skips_former) or (answer == UNREADABLE and not skips) then return answer end
  infos[at] = ''
  if head and head:sub(2, 2) == RECORD then
    if #head == HEAD then
      local texts = 0
      for place = 131, 139, 4 do texts = texts + (length_at(head, place) or 0) end
      infos[at] = redis.call('GETRANGE', key, 0, HEAD + texts - 1)
    elseif not skips then
      return UNREADABLE
    end
  end
end
return infos
