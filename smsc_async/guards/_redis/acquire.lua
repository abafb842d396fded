-- Reserves the slots of one request, all or none, and returns one line of text:
--   "granted <start> <amount>..."      the slots are reserved; a second call with this token reserves no more. A negative
--                                      amount: no slots, because of a proof that counts for so many milliseconds
--   "refused <demand> <delay>"         demand from 1; delay in microseconds, -1 if it depends on requests in flight
--   "quarantined <demand> <delay> <flying>"  histories were lost, so this demand can't be met for <delay> microseconds,
--                                      and for <flying> of them requests from before the loss may be in flight
--   "epoch <id> <salt>"                the histories are not those that the caller knew; nothing is reserved
--   "ready"                            there were no demands
--   "paused <since> <reason>"          sending is paused; nothing is reserved
--   "void"                             the caller has given this token up
--   "silent"                           INFO is forbidden
--   "evicting <policy>"                this Redis evicts keys when its memory is full
-- All times are microseconds of the server's clock.
--
-- KEYS: epoch, token, reports, the history of each demand, then proofs, turns and acceptances.
-- ARGV: token, id of the epoch that the caller knows ("" for none), id and salt for a new epoch, lease, the time for
--   which requests of the caller from before the last loss may be in flight, milliseconds for which the epoch must live
--   on, "1" to check the memory policy; then for each demand its kind (window, gate, streak, login, block, pause,
--   spend), count, span, amount, "1" if it is forced, the index of its proof in KEYS or 0, milliseconds for which the caller knows that the
--   proof counts, the index of its turn in KEYS or 0, the index of its acceptance in KEYS or 0. No history is demanded
--   twice. A token begins with the name of the process that asks.
local HEAD, FIELDS, NAME, HISTORIES = 8, 9, 12, 3
-- A process that was first refused at a gate PATIENCE microseconds ago goes before processes that hold as many slots.
-- TURN milliseconds after its last request its turn is over.
local PATIENCE, TURN = 300000, 1000
local SPARE = 43200000
-- Microseconds within which a process with requests in flight notices a loss and reports until when they may last.
local NOTICED = 30000000
local MOST_UNPRICED = 10

local token, known = ARGV[1], ARGV[2]
local lease, report, life = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
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

-- The epoch lasts as long as nothing is lost. If it is incomplete, histories from before `since` may be missing. Its id
-- begins with that instant: a caller that knows a later one has used histories that this Redis does not have.
local epoch = redis.call('HMGET', KEYS[1], 'id', 'run', 'since', 'incomplete', 'salt')
local id, since, incomplete, salt = epoch[1], tonumber(epoch[3]), epoch[4], epoch[5] or ARGV[4]
if not id or epoch[2] ~= run or known > id then
  incomplete = (id or known ~= '') and '1' or '0'
  id, since = string.format('%016.0f', now) .. ARGV[3], now
  redis.call('HSET', KEYS[1], 'id', id, 'run', run, 'since', whole(now), 'incomplete', incomplete, 'salt', salt)
  redis.call('DEL', KEYS[3])
elseif known ~= '' and known ~= id and incomplete ~= '1' then
  incomplete = '1'
  redis.call('HSET', KEYS[1], 'incomplete', incomplete)
end
if redis.call('PTTL', KEYS[1]) < life + SPARE then
  redis.call('PEXPIRE', KEYS[1], life + 2 * SPARE)
end
if known ~= id then
  return 'epoch ' .. id .. ' ' .. salt
end

-- Requests from before the loss may be in flight until `base`. A later report of a process replaces an earlier one.
local base = 0
if incomplete == '1' then
  local me = string.sub(token, 1, NAME)
  if report > 0 or tonumber(redis.call('ZSCORE', KEYS[3], me) or '0') > now then
    redis.call('ZADD', KEYS[3], whole(now + report), me)
    redis.call('PEXPIRE', KEYS[3], redis.call('PTTL', KEYS[1]))
  end
  local last = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')
  base = math.max(since + NOTICED, tonumber(last[2] or '0'))
end

if #ARGV == HEAD then
  return 'ready'
end
local before = redis.call('GET', KEYS[2])
if before then
  return before
end

-- A member begins with f for a request in flight, p for one that also tries credentials, s for one that has ended.
local function is_flying(member, at)
  return string.sub(member, 1, 1) ~= 's' and at > now
end

local function has_flying(key)
  local entries = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  for i = 1, #entries, 2 do
    if is_flying(entries[i], tonumber(entries[i + 1])) then
      return true
    end
  end
  return false
end

-- A request whose lease has ended counts as arrived, but silence is no sign of wrong credentials.
local function forget_logins(key)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', whole(now))) do
    if string.sub(member, 1, 1) == 'p' then
      redis.call('ZREM', key, member)
    end
  end
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
  if has_flying(key) then
    return -1
  end
  return tonumber(redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]) + span - now
end

-- The same for logins, of which one is in flight at a time.
local function excess_of_logins(key, count, span, amount)
  return has_flying(key) and -1 or excess_in_window(key, count, span, amount)
end

-- The same for what messages cost. The history is a hash: for a slice of five minutes its number, for a send that isn't
-- released f and its token. The values: the last instant (of a send: until when it is in flight), known costs, messages
-- of unknown cost, and the dearest cost, -1 if no cost is known. A message of unknown cost counts as the dearest one.
-- A send in flight may cost less than expected; as long as no cost is known there is one of them at a time. Once
-- MOST_UNPRICED messages have cost nobody knows what, and no other has a known cost, no more are sent.
local function excess_of_spend(key, count, span, amount)
  local slices, flying, priced, fields = {}, 0, false, redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local slice = {}
    for number in string.gmatch(fields[i + 1], '%S+') do
      slice[#slice + 1] = tonumber(number)
    end
    if string.sub(fields[i], 1, 1) == 'f' and slice[1] > now then
      flying = flying + slice[3]
    elseif slice[1] + span <= now then
      redis.call('HDEL', key, fields[i])
    else
      slices[#slices + 1] = slice
      priced = priced or slice[4] > 0
    end
  end
  table.sort(slices, function(one, other) return one[1] > other[1] end)
  local spent, unpriced, dearest = 0, 0, -1
  local function fits()
    local each = math.max(dearest, 0)
    local total = spent + unpriced * each
    return total < count and total + amount * each <= count
  end
  for _, slice in ipairs(slices) do
    spent, unpriced, dearest = spent + slice[2], unpriced + slice[3], math.max(dearest, slice[4])
    if not fits() or (unpriced >= MOST_UNPRICED and not priced) then
      return slice[1] + span - now
    end
  end
  unpriced = unpriced + flying
  return flying > 0 and (dearest < 0 or not fits()) and -1 or 0
end

local granted, unknown, refused, quarantined, worst = {}, {}, nil, nil, 0
for i = 1, (#ARGV - HEAD) / FIELDS do
  local at, key = HEAD + (i - 1) * FIELDS, KEYS[HISTORIES + i]
  local kind, count, span, amount = ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local forced, proof, accepted = ARGV[at + 5] == '1', tonumber(ARGV[at + 6]), tonumber(ARGV[at + 9])
  local missing = 0
  if incomplete == '1' and proof == 0 and kind ~= 'block' and kind ~= 'pause' and kind ~= 'spend' then
    missing = math.max(base + span - now, 0)
  end
  local proven = false
  if proof > 0 then
    local value = redis.call('GET', KEYS[proof])
    if not value and incomplete == '1' and ARGV[at + 7] ~= '0' then
      redis.call('SET', KEYS[proof], '1', 'PX', ARGV[at + 7])
      value = '1'
    end
    proven = value == '1'
  end
  if proven then
    granted[i] = -math.max(redis.call('PTTL', KEYS[proof]), 1)
  else
    granted[i] = amount
    local delay = 0
    if proof > 0 then
      forget_logins(key)
    end
    if missing > 0 and accepted > 0 then
      if tonumber(redis.call('GET', KEYS[accepted]) or '0') < since then
        -- Messages that may be bad go one at a time until one has been accepted, which ends the row.
        unknown[#unknown + 1] = KEYS[accepted]
        delay = has_flying(key) and -1 or 0
        missing = delay == 0 and amount > 1 and missing or 0
      else
        missing = 0
      end
    end
    if delay ~= 0 then
      -- the history does not matter
    elseif kind == 'window' then
      delay = excess_in_window(key, count, span, amount)
    elseif kind == 'login' then
      delay = excess_of_logins(key, count, span, amount)
    elseif kind == 'gate' then
      delay = excess_at_gate(key, count, amount, KEYS[tonumber(ARGV[at + 8])])
    elseif kind == 'streak' then
      delay = excess_in_streak(key, count, span, amount)
    elseif kind == 'spend' then
      delay = excess_of_spend(key, count, span, amount)
    elseif kind == 'block' then
      delay = math.max(tonumber(redis.call('GET', key) or '0') - now, 0)
    else
      local pause = redis.call('GET', key)
      if pause then
        return 'paused ' .. pause
      end
      delay = 0
    end
    if kind ~= 'pause' and (delay ~= 0 or ARGV[8] == '1') then  -- for those who look at the histories later
      redis.call('HSET', KEYS[1], 'limit:' .. string.match(key, '}:([%w_]+):'), count .. ' ' .. ARGV[at + 3])
    end
    if not forced then
      if missing > worst then
        quarantined, worst = i, missing
      end
      if delay ~= 0 and not refused then
        refused = 'refused ' .. i .. ' ' .. whole(delay)
      end
    end
  end
end
if quarantined then
  return 'quarantined ' .. quarantined .. ' ' .. whole(worst) .. ' ' .. whole(math.max(base - now, 0))
end
if refused then
  return refused
end

for i = 1, #granted do
  local at, key, amount = HEAD + (i - 1) * FIELDS, KEYS[HISTORIES + i], granted[i]
  if ARGV[at + 1] == 'spend' then
    redis.call('HSET', key, 'f' .. token, whole(now + lease) .. ' 0 ' .. amount .. ' -1')
    local lasts = math.ceil((lease + tonumber(ARGV[at + 3])) / 1000)
    redis.call('PEXPIRE', key, whole(math.max(lasts, redis.call('PTTL', key))))
  elseif amount > 0 then
    local letter = ARGV[at + 6] == '0' and 'f' or 'p'
    for j = 1, amount do
      redis.call('ZADD', key, whole(now + lease), letter .. token .. '/' .. j)
    end
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
    redis.call('PEXPIREAT', key, whole(math.ceil((tonumber(last[2]) + tonumber(ARGV[at + 3])) / 1000) + 1))
  end
end
for i = 1, #unknown do
  redis.call('SET', unknown[i], '0', 'PX', life + SPARE)
end
for i = 1, #served do
  redis.call('DEL', served[i])
end
local answer = 'granted ' .. whole(now) .. ' ' .. table.concat(granted, ' ')
redis.call('SET', KEYS[2], answer, 'PX', whole(math.ceil(lease / 1000)))
return answer
