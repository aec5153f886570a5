-- What `wrk` asks: `KIND COUNT PATH [NAME VALUE]…`. `fixed` asks for one URL, `many` for COUNT of
-- them in turns, `new` for another one each time.
local kind, path, count, headers
local turn = 0
local requests = {}

function init(args)
  kind, count, path = args[1], tonumber(args[2]), args[3]
  headers = { Host = "www.example.com" }
  for i = 4, #args, 2 do headers[args[i]] = args[i + 1] end
  if kind ~= "new" then
    for i = 1, count do requests[i] = wrk.format("GET", path .. (i - 1), headers) end
  end
  turn = math.floor(wrk.thread:get("begin") or 0)
end

function setup(thread) thread:set("begin", 0) end

function request()
  turn = turn + 1
  if kind == "new" then return wrk.format("GET", path .. count .. "-" .. turn, headers) end
  return requests[(turn - 1) % count + 1]
end

function done(summary)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"micros":%d,"bytes":%d,"broken":%d,"refused":%d}\n',
    summary.requests, summary.duration, summary.bytes, e.connect + e.read + e.write + e.timeout, e.status))
end
