-- A page of a space's records in the order of their names, and where the space stands: one consistent look.
--
-- KEYS  head, records, names
-- ARGV  the first name and the last as ZRANGEBYLEX takes them, records at most, bytes beyond which a page is full
-- Returns  logged, mark, whether there are more, { name, record, ... }
local head, records, names = unpack(KEYS)
local from, to, most, bytes = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local h = redis.call('HMGET', head, 'logged', 'mark', 'count')
local count = tonumber(h[3] or 0)
if redis.call('HLEN', records) ~= count or redis.call('ZCARD', names) ~= count then
  return redis.error_reply('DAMAGED ' .. head .. ' counts ' .. (h[3] or 0) .. ' records')
end
local page, size, AT_ONCE = {}, 0, 32
while true do
  local name = redis.call('ZRANGEBYLEX', names, from, to, 'LIMIT', 0, AT_ONCE)
  if #name == 0 then return {h[1] or '0', h[2] or '', 0, page} end
  local record = redis.call('HMGET', records, unpack(name))
  for i = 1, #name do
    if #page / 2 >= most or size >= bytes then return {h[1] or '0', h[2] or '', 1, page} end
    page[#page + 1] = name[i]
    page[#page + 1] = record[i]
    size = size + #name[i] + #(record[i] or '')
  end
  from = '(' .. name[#name]
end
