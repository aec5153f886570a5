-- Counts one request, or as many as a lease takes, of the client KEYS[1] under one limit.
--
-- Behind these lines a state is what core/src/rate/state.rs writes: a tag, then big-endian numbers.
-- The answer is what was known and what time it was; the shim decides from these, by the core, what
-- that means for the request. What is written here is the state that the core would keep.
--
-- The clock stands before this text: `clock()` in milliseconds, and `lifetime(span)`, how long a
-- state lives that tells nothing after `span`.
local key, algorithm = KEYS[1], ARGV[1]
local quota, window = tonumber(ARGV[2]), tonumber(ARGV[3])
local block, longest_block = tonumber(ARGV[4]), tonumber(ARGV[5])
local pace, lead, longest_lead = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local take = tonumber(ARGV[9])

local COUNTING, BLOCKED, LOG, BUCKETS, PACED = 1, 2, 3, 4, 5
local LENGTHS = { [COUNTING] = 13, [BLOCKED] = 9, [BUCKETS] = 17, [PACED] = 9 }
local LOG_MAX, HALF = 16, 4294967296

local now = clock()
local known = redis.call('GET', key)
local tag
if known then
  tag = string.byte(known, 1)
  local length = LENGTHS[tag]
  if tag == LOG and #known > 1 and string.byte(known, 2) < LOG_MAX then
    length = 10 + 4 * string.byte(known, 2)
  end
  -- Not ours: it stays as it is, for the shim to report.
  if #known ~= length then
    return { now, known }
  end
end

-- What is the same already is not written again, so that refusing costs no write.
local function keep(state, expires)
  if state ~= known then
    redis.call('SET', key, state, 'PX', lifetime(math.max(1, expires - now)))
  end
  return { now, known }
end

local function blocked(till)
  return struct.pack('>BI8', BLOCKED, till)
end

local function refuse(state, expires)
  if block > 0 then
    return keep(blocked(now + block), now + block)
  end
  return keep(state, expires)
end

if tag == BLOCKED then
  -- A clock that was set back must not make a block longer than the policy says.
  local till = math.min((struct.unpack('>I8', known, 2)), now + longest_block)
  if now < till then
    return keep(blocked(till), till)
  end
end

local admit = {}

admit['fixed-window'] = function()
  local since, used = now, 0
  if tag == COUNTING then
    local from, count = struct.unpack('>I8I4', known, 2)
    if now < from + window then
      since, used = math.min(from, now), count
    end
  end
  local till = since + window
  if used < quota then
    used = used + math.min(take, quota - used)
    return keep(struct.pack('>BI8I4', COUNTING, since, used), till)
  end
  return refuse(blocked(till), till)
end

-- `times` are the latest first.
local function log(times)
  local packed = { struct.pack('>BBI8', LOG, #times - 1, times[1]) }
  for at = 2, #times do
    packed[at] = struct.pack('>I4', math.min(times[1] - times[at], HALF - 1))
  end
  return table.concat(packed)
end

admit['log'] = function()
  local times = {}
  if tag == LOG then
    times[1] = math.min((struct.unpack('>I8', known, 3)), now)
    for at = 1, string.byte(known, 2) do
      times[at + 1] = times[1] - (struct.unpack('>I4', known, 7 + 4 * at))
    end
  end
  local inside = { now }
  for _, at in ipairs(times) do
    if now >= at + window then
      break
    end
    inside[#inside + 1] = at
  end
  if #inside <= quota then
    return keep(log(inside), now + window)
  end
  return refuse(log(times), times[1] + window)
end

admit['buckets'] = function()
  local since, used, before = now, 0, 0
  if tag == BUCKETS then
    local from, late, early = struct.unpack('>I8I4I4', known, 2)
    if now < from + window then
      since, used, before = math.min(from, now), late, early
    elseif now < from + 2 * window then
      since, before = from + window, late
    end
  end
  local room = (quota - used - 1) * window
  local fits = used < quota and before * (window - (now - since)) <= room
  if fits then
    used = used + 1
  end
  local state = struct.pack('>BI8I4I4', BUCKETS, since, used, before)
  if fits then
    return keep(state, since + 2 * window)
  end
  return refuse(state, since + 2 * window)
end

-- Nanoseconds since 1970 are more than a double holds: they are read and written in halves, and
-- here they are microseconds.
local function paced(micros)
  local low = micros % HALF * 1000
  local high = math.floor(micros / HALF) * 1000 + math.floor(low / HALF)
  return struct.pack('>BI4I4', PACED, high, low % HALF)
end

admit['gcra'] = function()
  local micros = now * 1000
  local till = micros
  if tag == PACED then
    local high, low = struct.unpack('>I4I4', known, 2)
    local rest = high % 1000 * HALF + low
    till = math.floor(high / 1000) * HALF + math.floor(rest / 1000)
    -- A clock set back must not make anybody wait longer than a whole burst.
    till = math.min(till, micros + longest_lead)
  end
  if micros < till - lead then
    return refuse(paced(till), math.ceil(till / 1000))
  end
  till = math.max(till, micros) + pace
  return keep(paced(till), math.ceil(till / 1000))
end

return admit[algorithm]()
