-- Reserves the slots of one request, all or none, and returns one line of text:
--   "granted <start> <amount>..."      the slots are reserved; a second call with this token reserves no more
--   "refused <demand> <delay>"         demand from 1; delay in microseconds, -1 if it depends on requests in flight
--   "quarantined <delay>"              the histories are incomplete for <delay> microseconds
--   "epoch <id> <salt>"                the histories are not those that the caller knew; nothing is reserved
--   "ready"                            there were no demands
--   "void"                             the caller has given this token up
--   "silent"                           INFO is forbidden
--   "evicting <policy>"                this Redis evicts keys when its memory is full
-- All times are microseconds of the server's clock.
--
-- KEYS: epoch, token, the history of each demand, then proofs and turns.
-- ARGV: token, id of the epoch that the caller knows ("" for none), id and salt for a new epoch, lease, longest lease
--   of any client, milliseconds for which the epoch must live on, "1" to check the memory policy; then for each demand
--   its kind (window, gate, streak, block), count, span, amount, "1" if it is forced, the index of its proof in KEYS or
--   0, "1" if the caller knows that the proof has existed, the index of its turn in KEYS or 0. No history is demanded
--   twice. A token begins with the name of the process that asks.
local HEAD, FIELDS, NAME = 8, 8, 12
-- A process that was first refused at a gate PATIENCE microseconds ago goes before processes that hold as many slots.
-- TURN milliseconds after its last request its turn is over.
local PATIENCE, TURN = 300000, 1000
local SPARE = 43200000
local DAY = 86400000

local token, known = ARGV[1], ARGV[2]
local lease, longest, life = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function whole(number)
  return string.format('%.0f', number)
end

local server = redis.pcall('INFO', 'server')
local run = type(server) == 'string' and string.match(server, 'run_id:(%w+)')
if not run then
  return 'silent'
end
if ARGV[8] == '1' then
  local memory = redis.pcall('INFO', 'memory')
  if type(memory) ~= 'string' then
    return 'silent'
  end
  local policy = string.match(memory, 'maxmemory_policy:([%w-]+)')
  if string.match(memory, 'maxmemory:(%d+)') ~= '0' and policy ~= 'noeviction' then
    return 'evicting ' .. (policy or 'unknown')
  end
end

-- The epoch lasts as long as nothing is lost. If it is incomplete, histories from before `since` may be missing.
local epoch = redis.call('HMGET', KEYS[1], 'id', 'run', 'since', 'incomplete', 'salt')
local id, since, incomplete = epoch[1], tonumber(epoch[3]), epoch[4]
if not id then
  id, since, incomplete = ARGV[3], now, known == '' and '0' or '1'
  epoch[5] = ARGV[4]
  redis.call('HSET', KEYS[1], 'id', id, 'run', run, 'since', whole(now), 'incomplete', incomplete, 'salt', ARGV[4])
elseif epoch[2] ~= run then
  since, incomplete = now, '1'
  redis.call('HSET', KEYS[1], 'run', run, 'since', whole(now), 'incomplete', incomplete)
elseif known ~= '' and known ~= id and incomplete ~= '1' then
  incomplete = '1'
  redis.call('HSET', KEYS[1], 'incomplete', incomplete)
end
if redis.call('PTTL', KEYS[1]) < life + SPARE then
  redis.call('PEXPIRE', KEYS[1], life + 2 * SPARE)
end
if known ~= id then
  return 'epoch ' .. id .. ' ' .. epoch[5]
end

if #ARGV == HEAD then
  return 'ready'
end
local before = redis.call('GET', KEYS[2])
if before then
  return before
end

local function is_flying(member, at)
  return string.sub(member, 1, 1) == 'f' and at > now
end

-- Returns the delay until `amount` more fit into a window: 0 for now, -1 if it depends on requests in flight.
local function excess_in_window(key, count, span, amount)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now - span))
  local excess = redis.call('ZCARD', key) + amount - count
  if excess <= 0 then
    return 0
  end
  local entries = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  local arrived = {}
  for i = 1, #entries, 2 do
    local at = tonumber(entries[i + 1])
    if not is_flying(entries[i], at) then
      arrived[#arrived + 1] = at
    end
  end
  return arrived[excess] and arrived[excess] + span - now or -1
end

local served = {}

-- The same for a gate, where any request in flight may be the next to end. The last slot is left to another process
-- that waits for its turn and holds no more slots than this one.
local function excess_at_gate(key, count, amount, turn)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now))
  local excess = redis.call('ZCARD', key) + amount - count
  if excess < 0 then
    return 0
  end
  local me, entries = string.sub(token, 1, NAME), redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  local waiting, since = string.match(redis.call('GET', turn) or '', '(%w+) (%d+)')
  local flying, mine, theirs = false, 0, 0
  for i = 1, #entries, 2 do
    if is_flying(entries[i], tonumber(entries[i + 1])) then
      local holder = string.sub(entries[i], 2, NAME + 1)
      flying = true
      mine = mine + (holder == me and 1 or 0)
      theirs = theirs + (holder == waiting and 1 or 0)
    end
  end
  if excess == 0 and (not waiting or waiting == me or mine < theirs or now < tonumber(since) + PATIENCE) then
    served[#served + 1] = waiting == me and turn or nil
    return 0
  end
  if not flying then
    return entries[2 * excess] and tonumber(entries[2 * excess]) - now or -1
  end
  if not waiting or waiting == me or mine < theirs then
    redis.call('SET', turn, me .. ' ' .. (waiting == me and since or whole(now)), 'PX', TURN)
  end
  return -1
end

-- The same for a row, which expires as a whole.
local function excess_in_streak(key, count, span, amount)
  if redis.call('ZCARD', key) + amount <= count then
    return 0
  end
  local entries = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  for i = 1, #entries, 2 do
    if is_flying(entries[i], tonumber(entries[i + 1])) then
      return -1
    end
  end
  return tonumber(entries[#entries]) + span - now
end

local granted, refused, worst = {}, nil, 0
for i = 1, (#ARGV - HEAD) / FIELDS do
  local at, key = HEAD + (i - 1) * FIELDS, KEYS[2 + i]
  local kind, count, span, amount = ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local forced, proof = ARGV[at + 5] == '1', tonumber(ARGV[at + 6])
  local missing = 0
  if incomplete == '1' and kind ~= 'block' then
    missing = since + longest + span - now
  end
  local proven = false
  if proof > 0 then
    local value = redis.call('GET', KEYS[proof])
    if not value and missing > 0 and ARGV[at + 7] == '1' then
      redis.call('SET', KEYS[proof], '1', 'PX', DAY)
      value = '1'
    end
    proven = value == '1'
  end
  if proven then
    granted[i] = 0
  else
    granted[i] = amount
    local delay
    if kind == 'window' then
      delay = excess_in_window(key, count, span, amount)
    elseif kind == 'gate' then
      delay = excess_at_gate(key, count, amount, KEYS[tonumber(ARGV[at + 8])])
    elseif kind == 'streak' then
      delay = excess_in_streak(key, count, span, amount)
    else
      delay = math.max(tonumber(redis.call('GET', key) or '0') - now, 0)
    end
    if not forced then
      worst = math.max(worst, missing)
      if delay ~= 0 and not refused then
        refused = 'refused ' .. i .. ' ' .. whole(delay)
      end
    end
  end
end
if worst > 0 then
  return 'quarantined ' .. whole(worst)
end
if refused then
  return refused
end

for i = 1, #granted do
  local key, amount, span = KEYS[2 + i], granted[i], tonumber(ARGV[HEAD + (i - 1) * FIELDS + 3])
  if amount > 0 then
    for j = 1, amount do
      redis.call('ZADD', key, whole(now + lease), 'f' .. token .. '/' .. j)
    end
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
    redis.call('PEXPIREAT', key, whole(math.ceil((tonumber(last[2]) + span) / 1000) + 1))
  end
end
for i = 1, #served do
  redis.call('DEL', served[i])
end
local answer = 'granted ' .. whole(now) .. ' ' .. table.concat(granted, ' ')
redis.call('SET', KEYS[2], answer, 'PX', whole(math.ceil(lease / 1000)))
return answer
