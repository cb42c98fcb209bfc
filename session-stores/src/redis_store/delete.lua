-- KEYS: records, all of one shard. A rename stays within its shard, so ending them in one script leaves no moment in
-- which a session could move out of reach. A record that cannot be read stays as it is, and the others end. Replies with
-- a text for each record: ENDED_NOW, and its application and owner if it has one; or one of the other letters.

local now = ARGV[1]
-- The hash of the secret. If it is empty, a record is ended whatever its secret is.
local hash = ARGV[2]
-- The state of the tombstone, and what follows the hash in it.
local state, rest = ARGV[3], ARGV[4]
-- If these are not empty, only records of this application, and of this application and owner, are ended. The texts are
-- as `owner_of` returns them; records without an application match every application.
local application, owner = ARGV[5], ARGV[6]

local ENDED_NOW, NOT_MEANT, OLD_LAYOUT, NOT_READABLE = 'E', '-', 'F', 'U'

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

local function end_one(key)
  local record, answer = find(key, hash ~= '' and hash or nil, now)
  if answer == FORMER then return OLD_LAYOUT end
  if answer == UNREADABLE then return NOT_READABLE end
  if not record and answer ~= GONE then return nil, answer end
  if not record or not is_meant(key, record) then return NOT_MEANT end
  local text = ENDED_NOW .. (owner_of(key, record) or '')
  bury(key, FORMAT .. state .. record.hash .. rest)
  return text
end

local results, trouble = {}, nil
for at, key in ipairs(KEYS) do
  local result, problem = end_one(key)
  results[at] = result or NOT_MEANT
  trouble = trouble or problem
end
return trouble or results
