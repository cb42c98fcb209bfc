-- KEYS: records, all of one shard. A rename stays within its shard, so ending them in one script leaves no moment in
-- which a session could move out of reach. Replies with the application and the owner of each record that it has ended,
-- or an empty text.

local now = ARGV[1]
-- The hash of the secret. If it is empty, a record is ended whatever its secret is.
local hash = ARGV[2]
-- The state of the tombstone, and what follows the hash in it.
local state, rest = ARGV[3], ARGV[4]
-- If these are not empty, only records of this application, and of this application and owner, are ended. The texts are
-- as `owner_of` returns them; records without an application match every application.
local application, owner = ARGV[5], ARGV[6]

local ANY = '\255\255\255\255'

local function is_meant(key, record)
  if owner ~= '' then
    local found = owner_of(key, record)
    return found == owner or found == ANY .. owner:sub(5, 8) .. owner:sub(9 + length_at(owner, 1))
  end
  if application == '' then return true end
  local length = length_at(record.lengths, 1)
  return not length or application == record.lengths:sub(1, 4)
    .. (length > 0 and redis.call('GETRANGE', key, HEAD, HEAD + length - 1) or '')
end

local ended, trouble = {}, nil
for _, key in ipairs(KEYS) do
  local record, answer = find(key, hash ~= '' and hash or nil, now)
  if record and is_meant(key, record) then
    table.insert(ended, owner_of(key, record) or '')
    bury(key, FORMAT .. state .. record.hash .. rest)
  elseif not record and answer ~= GONE then
    trouble = answer
  end
end
return trouble or ended
