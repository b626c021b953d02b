-- Sends standard input as a body: send.lua URL SOCKET|- [LENGTH] [cancel]. Prints what came of it,
-- the peak of memory and the seconds it took.
local http = require "orch.http"
local task = require "orch.task"

local url, socket, length, cancel = ...

local function send()
  local reply, err = http.request {
    url = url, unix = socket ~= "-" and socket or nil, body_fd = 0,
    body_length = math.tointeger(length),
    connect_timeout = 5, timeout = 30,
  }
  print(reply and reply.status or err.kind, reply and reply.body or err.message)
end

local function uptime()
  local file <close> = assert(io.open("/proc/uptime"))
  return file:read("n")
end

local started = uptime()
local sender = task.spawn(send)
if cancel then
  task.sleep(0.2)
  sender:cancel("enough")
end
local ok, why = sender:join()
if not ok then print("raised", tostring(why)) end
local status <close> = assert(io.open("/proc/self/status"))
print(status:read("a"):match("VmHWM:%s*(%d+)") .. " " .. uptime() - started)
