-- One commit of a space: all of a batch, or nothing of it. The server runs a script alone, so that what is read here is
-- what is written upon.
--
-- KEYS  head, records, names, log, bulk; what they hold is said in keys.rs
-- ARGV  mark, floor, revision and mark of what is known, beat (0 or 1), keep (commits), keep (bytes), the prefix of
--       bulk; then for each change its name, what it believes (a version, or nothing for "there is none"), its kind
--       (p put, d delete, n nothing), its value
--
-- Returns  done, revision, mark, jumped | differs, jumped, { name, record or nil, ... }
local head, records, names, log, bulk = unpack(KEYS)
local mark, floor, at, known, beat, keep, bytes, bulky = unpack(ARGV, 1, 8)

local h = redis.call('HMGET', head, 'revision', 'logged', 'mark', 'count', 'log', 'bulk')
local revision, logged, last = tonumber(h[1] or 0), tonumber(h[2] or 0), h[3] or ''
local count = tonumber(h[4] or 0)
if not (revision and logged and count) then
  return redis.error_reply('DAMAGED ' .. head .. ' has no number where one belongs')
end
-- What a server evicts, or a hand removes, is no record that was deleted: nobody may write upon its absence.
if redis.call('HLEN', records) ~= count or redis.call('ZCARD', names) ~= count then
  return redis.error_reply('DAMAGED ' .. head .. ' counts ' .. count .. ' records')
end
if redis.call('XLEN', log) > 0 and logged == 0 then
  return redis.error_reply('DAMAGED ' .. head .. ' knows of no log')
end

-- Somebody saw the log reach the floor, and a commit of this mark in it. A log that is shorter, or has another commit
-- there, is not that log: the store was rolled back, and a version believed in may be another record's by now.
local jumped = tonumber(floor) > logged
if not jumped and known ~= '' then
  local there = last
  if logged > tonumber(at) then
    local entry = redis.call('XREVRANGE', log, at, '-', 'COUNT', 1)[1]
    there = entry and entry[2][2] or known
  end
  jumped = there ~= known
end
local stranger = jumped and known ~= ''
local told = jumped and 1 or 0

local name, n = {}, (#ARGV - 8) / 4
for i = 1, n do name[i] = ARGV[4 * i + 5] end
local found = redis.call('HMGET', records, unpack(name))
local differ = {}
for i = 1, n do
  local belief = ARGV[4 * i + 6]
  local version = found[i] and (found[i]:match('^(%d+):') or '?') or ''
  if version ~= belief or (stranger and belief ~= '') then
    differ[#differ + 1] = name[i]
    differ[#differ + 1] = found[i]
  end
end
if #differ > 0 then return {'differs', told, differ} end

local r = string.format('%.0f', math.max(revision, tonumber(floor)) + 1)
local puts, added, gone = {}, {}, {}
local some, some_bytes = {'m', mark, 'p', last, 'b', '0'}, 0
local many, many_bytes = {}, 0
for i = 1, n do
  local kind, value = ARGV[4 * i + 7], ARGV[4 * i + 8]
  if kind == 'p' then
    puts[#puts + 1] = name[i]
    puts[#puts + 1] = r .. ':' .. value
    if not found[i] then
      added[#added + 1] = '0'
      added[#added + 1] = name[i]
      count = count + 1
    end
  elseif kind == 'd' then
    gone[#gone + 1] = name[i]
    if found[i] then count = count - 1 end
  end
  if kind ~= 'n' and beat == '0' then
    local entry = some
    if name[i]:sub(1, #bulky) == bulky then
      entry, many_bytes = many, many_bytes + #name[i] + #value
    else
      some_bytes = some_bytes + #name[i] + #value
    end
    entry[#entry + 1] = name[i]
    entry[#entry + 1] = kind .. value
  end
end
if #puts == 0 and #gone == 0 then return {'done', h[2] or '0', last, told} end

-- A script that fails half-way is not undone, so that nothing may fail from the second write on. Keys of another type
-- show when they are looked at. The first write takes a number that was given to nobody; here the server refuses that
-- has no room, cannot write to its disk, or is a replica. Then every other kind of write, and every key, is tried in a
-- way that changes nothing (no name is empty): here one is refused who lacks a right.
redis.call('XLEN', bulk)
redis.call('HSET', head, 'revision', r)
redis.call('ZADD', names, 'XX', '0', '')
redis.call('ZREM', names, '')
redis.call('HDEL', records, '')
local stands = {'count', string.format('%.0f', count)}
if beat == '0' then
  redis.call('XTRIM', log, 'MINID', '0')
  redis.call('XTRIM', bulk, 'MINID', '0')
end

-- Appends to a stream, and cuts off what is beyond what is kept of it. An eighth of those bytes is a stride; the head
-- has the last eight strides' beginnings, in turn, so that nothing is looked for.
local function append(stream, field, before, size, entry)
  redis.call('XADD', stream, 'MAXLEN', '~', keep, r .. '-0', unpack(entry))
  local stride = tonumber(bytes) / 8
  local at = math.floor((before + size) / stride)
  stands[#stands + 1] = field
  stands[#stands + 1] = string.format('%.0f', before + size)
  if at > math.floor(before / stride) then
    local turn = field .. (at % 8)
    local oldest = redis.call('HMGET', head, turn)[1]
    if oldest then redis.call('XTRIM', stream, 'MINID', oldest) end
    stands[#stands + 1] = turn
    stands[#stands + 1] = r
  end
end

if beat == '0' then
  if #many > 0 then some[6] = '1' end
  append(log, 'log', tonumber(h[5] or 0) or 0, some_bytes + 64, some)
  if #many > 0 then append(bulk, 'bulk', tonumber(h[6] or 0) or 0, many_bytes + 64, many) end
  for _, of in ipairs({'logged', r, 'mark', mark}) do stands[#stands + 1] = of end
end
redis.call('HSET', head, unpack(stands))
if #puts > 0 then redis.call('HSET', records, unpack(puts)) end
if #added > 0 then redis.call('ZADD', names, unpack(added)) end
if #gone > 0 then
  redis.call('HDEL', records, unpack(gone))
  redis.call('ZREM', names, unpack(gone))
end
if beat == '1' then return {'done', r, last, told} end
-- Only wakes who follows: whoever may not publish is found out about at the next look.
redis.pcall('PUBLISH', log, r)
return {'done', r, mark, told}
