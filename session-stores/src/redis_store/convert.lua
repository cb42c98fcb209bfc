-- KEYS: a record of the first layout, which was a hash with a field for each value; the owner's indexes, if they are known
-- and on this machine.

local key, ends, visits = KEYS[1], KEYS[2], KEYS[3]
local now = ARGV[1]
-- The application and the owner with indexes that name the session already, or nothing.
local noted = ARGV[2]
-- The length of a text that is not there.
local NONE = '\255\255\255\255'

local function digits(text)
  if not text or #text > 20 or not text:find('^%d+$') then return nil end
  return string.rep('0', 20 - #text) .. text
end

-- Decodes unpadded base64url.
local ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
local function decoded(text)
  local bytes, bits, count = {}, 0, 0
  for at = 1, #text do
    local value = ALPHABET:find(text:sub(at, at), 1, true)
    if not value then return nil end
    bits, count = bits * 64 + value - 1, count + 6
    if count >= 8 then
      count = count - 8
      table.insert(bytes, string.char(math.floor(bits / 2 ^ count) % 256))
      bits = bits % 2 ^ count
    end
  end
  return table.concat(bytes)
end

local function length_of(text)
  if not text then return NONE end
  local length = #text
  return string.char(
    math.floor(length / 2 ^ 24) % 256, math.floor(length / 2 ^ 16) % 256, math.floor(length / 2 ^ 8) % 256, length % 256
  )
end

local found = redis.pcall('HGETALL', key)
-- Another request has converted it.
if found.err then return head_of(key) and DONE or UNREADABLE end
if #found == 0 then return GONE end
local own, entries = {}, {}
for at = 1, #found, 2 do
  local name, text = found[at], found[at + 1]
  if name:sub(1, 1) == '$' and name ~= '$' and name:sub(2, 2) ~= '$' then
    own[name] = text
  else
    if name:sub(1, 2) == '$$' then name = name:sub(2) end
    table.insert(entries, cjson.encode(name) .. ':' .. text)
  end
end
local hash = own['$h'] and decoded(own['$h'])
local version, created_at = digits(own['$v']), digits(own['$c'])
local seen_at, expires_at = digits(own['$s']), digits(own['$x'])
if own['$f'] ~= '1' or not hash or #hash ~= 32 or not (version and created_at and seen_at and expires_at) then
  return UNREADABLE
end

local owner, label = own['$o'], own['$l']
local token = owner and NONE .. length_of(owner) .. owner
if owner and token ~= noted then return token end
if owner and ends then note(ends, visits, key, now, seen_at, expires_at) end
local lengths = NONE .. length_of(owner) .. length_of(label)
local record = FORMAT .. RECORD .. hash .. version .. seen_at .. expires_at .. created_at .. string.rep('\0', 16)
  .. lengths .. (owner or '') .. (label or '') .. '{' .. table.concat(entries, ',') .. '}'
redis.call('SET', key, record, 'PX', time_to_live(now, expires_at))
return DONE
