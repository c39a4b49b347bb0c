-- Which commands the user may not use. Each is called on keys that are not there in a way that writes nothing.
--
-- KEYS  head, records, names, log, bulk of no space
-- Returns  { command, ... }
local head, records, names, log, bulk = unpack(KEYS)
local calls = {
  {'HGET', records, ''}, {'HMGET', head, ''}, {'HLEN', records}, {'ZCARD', names}, {'XLEN', log}, {'XLEN', bulk},
  {'ZRANGEBYLEX', names, '-', '+'}, {'XRANGE', log, '-', '+'}, {'XREVRANGE', log, '+', '-'},
  -- A name without its value is refused, to whoever may write.
  {'HSET', head, '', '', ''}, {'HDEL', records, ''}, {'ZADD', names, 'XX', '0', ''}, {'ZREM', names, ''},
  {'XADD', log, 'NOMKSTREAM', '*', '', ''}, {'XTRIM', log, 'MINID', '0'}, {'XTRIM', bulk, 'MINID', '0'},
  {'PUBLISH', log, ''},
}
local lacks = {}
for _, call in ipairs(calls) do
  local answer = redis.pcall(unpack(call))
  local said = type(answer) == 'table' and answer.err or ''
  if said:find('NOPERM', 1, true) or said:find("executing the script can't", 1, true) then
    lacks[#lacks + 1] = call[1]
  end
end
return lacks
