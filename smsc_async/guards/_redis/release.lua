-- Releases the slots of requests that have ended and leaves the entries that must be kept. A second call changes only
-- the dates. All times are microseconds of the server's clock.
--
-- KEYS, for each request: its token, then for each of its demands the history and, if its release has one, the proof
--   and the acceptance.
-- ARGV, for each request: token, start, milliseconds for which the token stays void ("0" if it was granted), the number
--   of demands; then for each demand its kind (window, gate, streak, login, block, spend), count, span, amount, and of its
--   release: keep, late, "1" to clear, "1" to fill, "new", "renewed", "refuted" or "" for the proof, milliseconds for
--   which that counts, "1" for an acceptance; the length of a first and of a later block, or of a spend the cost ("-1" if
--   it is unknown), and "1" if it stays reserved.
local FIELDS, SLICE = 13, 300000000

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function whole(number)
  return string.format('%.0f', number)
end

local function release_block(key, started, demand)
  local over = tonumber(redis.call('GET', key))
  if demand.keep > 0 then
    -- A request that was already on its way when the block was noticed does not prove another block.
    if not over or over <= started then
      local ends = now + (over and demand.again or demand.first)
      redis.call('SET', key, whole(ends), 'PX', whole(math.ceil((ends - now + demand.span) / 1000)))
    end
  elseif demand.clear and over and over <= started then
    redis.call('DEL', key)
  end
end

-- See excess_of_spend in acquire.lua. What is not there has been released, or was lost together with the history.
local function release_spend(key, token, demand)
  local flight = 'f' .. token
  local messages = string.match(redis.call('HGET', key, flight) or '', '^%d+ 0 (%d+)')
  if not messages then
    return
  end
  if demand.again == 1 then  -- it is no longer in flight, and its outcome is unknown
    redis.call('HSET', key, flight, whole(now) .. ' 0 ' .. messages .. ' -1')
    return
  end
  redis.call('HDEL', key, flight)
  if demand.keep == 0 then
    return
  end
  local spent, unpriced, dearest = demand.first, 0, math.ceil(demand.first / demand.keep)
  if spent < 0 then
    -- The dearest cost is remembered for as long as it stands for these messages.
    spent, unpriced, dearest = 0, demand.keep, -1
    for _, value in ipairs(redis.call('HVALS', key)) do
      dearest = math.max(dearest, tonumber(string.match(value, '%S+$')))
    end
  end
  local slice = whole(math.floor(now / SLICE))
  local _, before, unknown, highest = string.match(redis.call('HGET', key, slice) or '0 0 0 -1', '(%S+) (%S+) (%S+) (%S+)')
  spent, unpriced, dearest = spent + before, unpriced + unknown, math.max(dearest, tonumber(highest))
  redis.call('HSET', key, slice, table.concat({whole(now), whole(spent), whole(unpriced), whole(dearest)}, ' '))
  redis.call('PEXPIRE', key, whole(math.max(math.ceil(demand.span / 1000) + 1, redis.call('PTTL', key))))
end

local function release_entries(key, token, started, demand)
  for j = 1, demand.amount do
    local member = token .. '/' .. j
    redis.call('ZREM', key, 'f' .. member, 'p' .. member)
  end
  if demand.clear then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(started))
  end
  local keep = demand.keep
  if demand.fill then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now - demand.span))
    keep = math.max(keep, demand.count - redis.call('ZCARD', key))
  end
  if keep > 0 then
    for j = 1, keep do
      redis.call('ZADD', key, whole(now + demand.late), 's' .. token .. '/' .. j)
    end
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
    redis.call('PEXPIREAT', key, whole(math.ceil((tonumber(last[2]) + demand.span) / 1000) + 1))
  end
end

-- An answer that is older than a refutation does not renew what was refuted.
local function release_proof(key, proof, lasts)
  if proof ~= 'renewed' then
    redis.call('SET', key, proof == 'new' and '1' or '0', 'PX', lasts)
  elseif redis.call('GET', key) == '1' then
    redis.call('PEXPIRE', key, lasts)
  end
end

-- The key exists if histories were lost and it is not known whether the last messages were accepted.
local function release_acceptance(key, started)
  local before = redis.call('GET', key)
  if before and tonumber(before) < started then
    redis.call('SET', key, whole(started), 'PX', redis.call('PTTL', key))
  end
end

local k, a = 1, 1
while a < #ARGV do
  local token, started, void, demands = ARGV[a], tonumber(ARGV[a + 1]), ARGV[a + 2], tonumber(ARGV[a + 3])
  if void == '0' then
    redis.call('DEL', KEYS[k])
  else
    redis.call('SET', KEYS[k], 'void', 'PX', void)
  end
  k, a = k + 1, a + 4
  for _ = 1, demands do
    local demand = {
      kind = ARGV[a], count = tonumber(ARGV[a + 1]), span = tonumber(ARGV[a + 2]), amount = tonumber(ARGV[a + 3]),
      keep = tonumber(ARGV[a + 4]), late = tonumber(ARGV[a + 5]), clear = ARGV[a + 6] == '1', fill = ARGV[a + 7] == '1',
      first = tonumber(ARGV[a + 11]), again = tonumber(ARGV[a + 12]),
    }
    if demand.kind == 'block' then
      release_block(KEYS[k], started, demand)
    elseif demand.kind == 'spend' then
      release_spend(KEYS[k], token, demand)
    else
      release_entries(KEYS[k], token, started, demand)
    end
    k = k + 1
    if ARGV[a + 8] ~= '' then
      release_proof(KEYS[k], ARGV[a + 8], ARGV[a + 9])
      k = k + 1
    end
    if ARGV[a + 10] == '1' then
      release_acceptance(KEYS[k], started)
      k = k + 1
    end
    a = a + FIELDS
  end
end
return 'released'
