-- Processes of this machine, those in containers included.
local fs = require "orch.fs"
local proc = require "orch.proc"
local task = require "orch.task"

local SECONDS <const> = 20

--- Who has the mark in its environment, by process id: containers' processes are seen from outside
--- too.
local function marked(mark)
  local found = {}
  for _, pid in ipairs(fs.list("/proc")) do
    local file = pid:match("^%d+$") and io.open("/proc/" .. pid .. "/environ", "rb")
    if file then
      if (file:read("a") or ""):find(mark, 1, true) then found[#found + 1] = pid end
      file:close()
    end
  end
  return found
end

local function wait_until(f, seconds)
  local deadline = task.clock() + (seconds or SECONDS)
  while not f() and task.clock() < deadline do task.sleep(0.02) end
  return f()
end

--- A port of 127.0.0.1 that nobody has.
local function free_port()
  local result = assert(proc.run { argv = { "python3", "-c",
    "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])" } })
  return assert(tonumber(result.stdout))
end

return { marked = marked, wait_until = wait_until, free_port = free_port }
