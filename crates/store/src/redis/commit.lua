-- One commit of a space: all of a batch, or nothing of it. The server runs a script alone, so that what is read here is
-- what is written upon.
--
-- KEYS  head, records, names, log, bulk; what they hold is said in keys.rs
-- ARGV  mark, floor, revision and mark of what is known, beat (0 or 1), keep (commits), keep (bytes), the prefix of
--       bulk; then for each change its name, what it believes (a version, or nothing for "there is none"), its kind
--       (p put, d delete, n nothing), its value
--
-- Returns  done, revision, mark, jumped | differs, jumped, { name, record or nil, ... } | damaged, what
local head, records, names, log, bulk = unpack(KEYS)
local mark, floor, at, known, beat, keep, bytes, bulky = unpack(ARGV, 1, 8)

local h = redis.call('HMGET', head, 'revision', 'logged', 'mark')
local revision, logged, last = tonumber(h[1] or 0), tonumber(h[2] or 0), h[3] or ''
if not (revision and logged) then return {'damaged', head .. ' has no number where one belongs'} end

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
    end
  elseif kind == 'd' then
    gone[#gone + 1] = name[i]
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

-- Appends to a stream, and cuts off what is beyond what is kept of it. An eighth of those bytes is a stride; the head
-- has the last eight strides' beginnings, in turn, so that nothing is looked for.
local function append(stream, field, size, entry)
  redis.call('XADD', stream, 'MAXLEN', '~', keep, r .. '-0', unpack(entry))
  local before = tonumber(redis.call('HGET', head, field) or 0) or 0
  local stride = tonumber(bytes) / 8
  local at = math.floor((before + size) / stride)
  redis.call('HSET', head, field, string.format('%.0f', before + size))
  if at > math.floor(before / stride) then
    local turn = field .. (at % 8)
    local oldest = redis.call('HGET', head, turn)
    if oldest then redis.call('XTRIM', stream, 'MINID', oldest) end
    redis.call('HSET', head, turn, r)
  end
end

-- What could still fail comes before the first write, or is it: a script that fails half-way is not undone.
redis.call('ZCARD', names)
redis.call('XLEN', bulk)
if beat == '0' then
  if #many > 0 then some[6] = '1' end
  append(log, 'log', some_bytes + 64, some)
  if #many > 0 then append(bulk, 'bulk', many_bytes + 64, many) end
  redis.call('HSET', head, 'revision', r, 'logged', r, 'mark', mark)
else
  redis.call('HSET', head, 'revision', r)
end
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
