-- Precedes every script: the layout of a record, and the words that a script replies with. The documentation of
-- `RedisStore` describes the layout.
--
-- Times and versions are texts of 20 digits, so that they are compared as texts, and no digit is lost in a Lua number.

local DONE = redis.status_reply('DONE')
local GONE = redis.status_reply('GONE')
local REMOVED = redis.status_reply('REMOVED')
local TAKEN = redis.status_reply('TAKEN')
local ENDED = redis.status_reply('ENDED')
local UNREADABLE = redis.status_reply('UNREADABLE')
-- A former version of session-stores wrote the record.
local FORMER = redis.status_reply('FORMER')

local FORMAT = '2'
local RECORD = 'R'

-- The lengths of the fixed parts of a record and of a tombstone.
local HEAD = 142
local TOMBSTONE = 74

-- Seconds that Redis keeps a key longer than one instance needs it, because the clocks of the instances may differ.
local CLOCKS = 300

-- Seconds that Redis keeps a record after its last one: a day, in which the end is known, and the difference of clocks.
local MARGIN = 24 * 60 * 60 + CLOCKS

-- Seconds that Redis keeps a tombstone: a minute, in which the end is known, and the difference of clocks.
local TOMBSTONE_LIFE = 60 + CLOCKS

-- 31,000 years in milliseconds. Redis refuses a time that overflows.
local LONGEST = 1e15

-- Returns the fixed part of what is under `key`, or nil and the reply that says why there is none.
local function head_of(key)
  local head = redis.pcall('GETRANGE', key, 0, HEAD - 1)
  if type(head) == 'table' then
    return nil, head.err:find('WRONGTYPE') and FORMER or head
  end
  if head == '' then return nil, redis.call('EXISTS', key) == 1 and UNREADABLE or GONE end
  if head:sub(1, 1) ~= FORMAT or #head < TOMBSTONE then return nil, UNREADABLE end
  return head
end

-- Returns the live record under `key`, or nil and the reply that says why there is none. A nil `hash` matches any record.
local function find(key, hash, now)
  local head, answer = head_of(key)
  if not head then return nil, answer end
  if head:sub(2, 2) ~= RECORD then return nil, GONE end
  if #head < HEAD or not head:sub(35, 114):find('^%d+$') then return nil, UNREADABLE end
  if hash and hash ~= head:sub(3, 34) then return nil, GONE end
  if now > head:sub(75, 94) then return nil, GONE end
  return {
    hash = head:sub(3, 34), version = head:sub(35, 54), seen_at = head:sub(55, 74), expires_at = head:sub(75, 94),
    nonce = head:sub(115, 130), lengths = head:sub(131, 142),
  }
end

-- Returns the length at a place of `lengths`, or nil if there is no such text.
local function length_at(lengths, at)
  local a, b, c, d = lengths:byte(at, at + 3)
  if a == 255 and b == 255 and c == 255 and d == 255 then return nil end
  return ((a * 256 + b) * 256 + c) * 256 + d
end

-- Returns the application and the owner of a record as one text, or nil if it has no owner.
local function owner_of(key, record)
  local application, owner = length_at(record.lengths, 1), length_at(record.lengths, 5)
  if not owner then return nil end
  local texts = (application or 0) + owner
  return record.lengths:sub(1, 8) .. (texts > 0 and redis.call('GETRANGE', key, HEAD, HEAD + texts - 1) or '')
end

local function time_to_live(now, expires_at)
  local seconds = math.max(tonumber(expires_at) - tonumber(now), 0) + MARGIN
  return string.format('%.0f', math.min(seconds * 1000, LONGEST))
end

local function later(left, right)
  return left > right and left or right
end

-- Notes a session in its owner's two indexes. `GT` never moves an entry back: an index may name a session longer than it
-- lives, but never shorter, so "log out everywhere" finds every live session.
local function note(ends, visits, key, now, seen_at, expires_at)
  local member = key:match('[^:]+$')
  redis.call('ZADD', ends, 'GT', expires_at, member)
  redis.call('ZADD', visits, 'GT', seen_at, member)
  local over = redis.call('ZRANGEBYSCORE', ends, '-inf', '(' .. (tonumber(now) - MARGIN), 'LIMIT', 0, 100)
  if #over > 0 then
    redis.call('ZREM', ends, unpack(over))
    redis.call('ZREM', visits, unpack(over))
  end
  local time = time_to_live(now, expires_at)
  for _, index in ipairs({ends, visits}) do
    if redis.call('PTTL', index) < tonumber(time) then redis.call('PEXPIRE', index, time) end
  end
end

-- Puts a tombstone under `key`.
local function bury(key, tombstone)
  redis.call('SET', key, tombstone, 'EX', TOMBSTONE_LIFE)
end
