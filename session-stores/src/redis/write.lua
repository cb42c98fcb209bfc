-- Precedes the scripts that change a record: update.lua and rename.lua.

local now = ARGV[1]
local expires_at = ARGV[2]
local hash = ARGV[3]
local noted_owner = ARGV[4]
-- '=' and the new owner, or nothing if the owner stays.
local new_owner = ARGV[5]
-- For an exact write, the version that was read and a nonce; otherwise both are empty.
local version_read = ARGV[6]
local nonce = ARGV[7]
-- '1' if the write clears the session.
local clears = ARGV[8] == '1'
-- '1' if the write sets an entry, so that something is left in any case.
local sets_an_entry = ARGV[9] == '1'
-- So many arguments from FIRST_FIELD on are fields and values to set. After them come the fields to remove.
local set_count = ARGV[10]
local FIRST_FIELD = 11

local function owner_after(record)
  if new_owner ~= '' then return new_owner:sub(2) end
  return not clears and record.owner
end

local function clear(key)
  for _, name in ipairs(redis.call('HKEYS', key)) do
    if name:sub(1, 1) ~= '$' or name == '$o' or name == '$l' then redis.call('HDEL', key, name) end
  end
end

local function is_pinned(terms)
  local read, value = pcall(cjson.decode, terms or '')
  return read and type(value) == 'table' and value.id == true
end

local function has_entries(key)
  for _, name in ipairs(redis.call('HKEYS', key)) do
    if name:sub(1, 1) ~= '$' then return true end
  end
  return false
end

local function leaves_nothing(key, owner)
  return not owner and not sets_an_entry and not has_entries(key) and not is_pinned(redis.call('HGET', key, '$'))
end

-- Changes `record`, which is under `key` and will be under `name` afterwards. Returns its new version, or the reply
-- that says why nothing was written.
local function write(record, key, name, index)
  if version_read ~= '' and version_read ~= record.version then
    -- The same nonce: this write was done before, and only its reply was lost.
    return record.nonce == nonce and tonumber(record.version) or CONFLICT
  end
  -- The owner's index must name the session before the record is written. If the caller did not know this owner, it
  -- gets the owner as the reply, notes the session there, and runs the script again.
  local owner = owner_after(record)
  if owner and '=' .. owner ~= noted_owner then return owner end
  if owner and index then note(index, name, now, expires_at) end

  local last_field = FIRST_FIELD - 1 + set_count
  if clears then clear(key) end
  each('HSET', key, FIRST_FIELD, last_field)
  each('HDEL', key, last_field + 1, #ARGV)
  if leaves_nothing(key, owner) then
    redis.call('DEL', key)
    return REMOVED
  end

  local version = record.version + 1
  redis.call('HSET', key, '$v', version, '$s', now, '$x', expires_at)
  if new_owner ~= '' then redis.call('HSET', key, '$o', owner) end
  if nonce ~= '' then redis.call('HSET', key, '$n', nonce) end
  expire(key, now, expires_at)
  return version
end
