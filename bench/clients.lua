-- Requests of cameras, for wrk: `wrk … -s clients.lua URL -- walk START COUNT` asks for each of COUNT clients from
-- number START on, in turn and again from START; `random START COUNT` for any of them. Client n has the name that
-- bench/fill.rs gives it.
local kind, start, count, n, host

function init(args)
  kind, start, count, n = args[1], tonumber(args[2]), tonumber(args[3]), 0
  host = wrk.host .. ":" .. wrk.port
  math.randomseed(start + count)
end

function request()
  local number
  if kind == "random" then
    number = start + math.floor(math.random() * count)
  else
    number = start + n % count
    n = n + 1
  end
  local name = string.format("cam-%08x", (number * 10368889) % 4294967296)
  return "GET /ingest/stream?camera=" .. name .. " HTTP/1.1\r\nHost: " .. host .. "\r\n\r\n"
end
