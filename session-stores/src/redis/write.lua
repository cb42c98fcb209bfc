-- Stands before the scripts that change a record.
-- ARGV[5]: '=' and the owner from now on, or nothing. ARGV[6], ARGV[7]: the version that was read and a nonce, when the
-- write is exact. ARGV[8]: '1' if it clears. ARGV[9]: '1' if it surely leaves something. ARGV[10]: how many of the rest
-- are fields and values to set; after them come fields to remove.

local CLEARS = ARGV[8] == '1'

local function owner_after(record)
  if ARGV[5] ~= '' then return ARGV[5]:sub(2) end
  return not CLEARS and record.owner
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
  return not owner and ARGV[9] ~= '1' and not has_entries(key) and not is_pinned(redis.call('HGET', key, '$'))
end

-- Changes `record` under `key`, which goes by `name` afterwards. Answers with its version, or why there is none.
local function write(record, key, name, index)
  if ARGV[6] ~= '' and ARGV[6] ~= record.version then
    -- A lost answer is asked for again.
    return record.nonce == ARGV[7] and tonumber(record.version) or CONFLICT
  end
  local owner = owner_after(record)
  if owner and '=' .. owner ~= ARGV[4] then return owner end
  if owner and index then note(index, name, ARGV[1], ARGV[2]) end

  local last = 10 + ARGV[10]
  if CLEARS then clear(key) end
  each('HSET', key, 11, last)
  each('HDEL', key, last + 1, #ARGV)
  if leaves_nothing(key, owner) then
    redis.call('DEL', key)
    return REMOVED
  end

  local version = record.version + 1
  redis.call('HSET', key, '$v', version, '$s', ARGV[1], '$x', ARGV[2])
  if ARGV[5] ~= '' then redis.call('HSET', key, '$o', owner) end
  if ARGV[7] ~= '' then redis.call('HSET', key, '$n', ARGV[7]) end
  expire(key, ARGV[1], ARGV[2])
  return version
end
