-- Precedes every script: finds the record as it is now, and defines the words that a script replies with.
-- Scripts that take a visit begin with these arguments: now, expires_at, the hash of the secret, and '=' and the owner
-- with an index that names the session already (or nothing).

local DONE = redis.status_reply('DONE')
local GONE = redis.status_reply('GONE')
local CONFLICT = redis.status_reply('CONFLICT')
local REMOVED = redis.status_reply('REMOVED')
local TAKEN = redis.status_reply('TAKEN')
local UNREADABLE = redis.status_reply('UNREADABLE')

local FORMAT = '1'

-- Seconds that Redis keeps a session after its last one. The application's clock decides when a session is over, and
-- may be behind the clock of Redis.
local MARGIN = 300

-- 31,000 years in milliseconds. PEXPIRE refuses a time that overflows.
local LONGEST = 1e15

-- How many arguments one command gets: `unpack` fails at about 8,000.
local BATCH = 4000

local function is_number(text, digits)
  return text and #text <= digits and text:find('^%d+$')
end

local function is_readable(record)
  return record.format == FORMAT and record.hash
    -- A Lua number holds and prints 14 digits exactly.
    and is_number(record.version, 14)
    and is_number(record.created_at, 20) and is_number(record.seen_at, 20) and is_number(record.expires_at, 20)
end

-- Returns the record under `key`, or nil and the reply that says why there is none. A nil `hash` matches any record.
local function find(key, hash, now)
  local found = redis.pcall('HMGET', key, '$f', '$h', '$v', '$c', '$s', '$x', '$o', '$n')
  if found.err then return nil, found end
  local record = {
    format = found[1], hash = found[2], version = found[3], created_at = found[4], seen_at = found[5],
    expires_at = found[6], owner = found[7], nonce = found[8],
  }
  if not record.format and redis.call('EXISTS', key) == 0 then return nil, GONE end
  if not is_readable(record) then return nil, UNREADABLE end
  if hash and hash ~= record.hash then return nil, GONE end
  if tonumber(now) > tonumber(record.expires_at) then return nil, GONE end
  return record
end

local function time_to_live(now, expires_at)
  local seconds = math.max(expires_at - now, 0) + MARGIN
  return string.format('%.0f', math.min(seconds * 1000, LONGEST))
end

local function expire(key, now, expires_at)
  redis.call('PEXPIRE', key, time_to_live(now, expires_at))
end

-- Notes the session in its owner's index until `expires_at`. `GT` never shortens an entry: an index may name a session
-- longer than it lives, but never shorter, so "log out everywhere" finds every live session.
local function note(index, key, now, expires_at)
  redis.call('ZADD', index, 'GT', expires_at, key:match('[^:]+$'))
  redis.call('ZREMRANGEBYSCORE', index, '-inf', '(' .. (now - MARGIN))
  local time = time_to_live(now, expires_at)
  if redis.call('PTTL', index) < tonumber(time) then redis.call('PEXPIRE', index, time) end
end

-- Returns the later of two times as it was written, so that no digit is lost in a Lua number.
local function later(left, right)
  if tonumber(left) > tonumber(right) then return left end
  return right
end

-- Calls `command` with the arguments from `first` to `last`, a batch at a time.
local function each(command, key, first, last)
  for at = first, last, BATCH do
    redis.call(command, key, unpack(ARGV, at, math.min(at + BATCH - 1, last)))
  end
end
