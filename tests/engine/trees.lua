-- Trees of processes that specs start, and what is left of them.
local fs = require "orch.fs"
local proc = require "orch.proc"
local task = require "orch.task"

local LIBRARIES <const> = fs.real_path("/proc/self/exe"):match("^(.*)/[^/]*$")
local SHIM <const> = fs.stat(LIBRARIES .. "/lib/orch-shim") and LIBRARIES .. "/lib/orch-shim"
  or LIBRARIES .. "/../lib/orch/orch-shim"

local made = 0
local function new_mark()
  made = made + 1
  return ("ORCH_SPEC_MARK=%d.%d.%d"):format(os.time(), task.clock() * 1000 // 1, made)
end

-- Who has the mark in its environment or arguments, by process id.
local function marked(mark)
  local found = {}
  for _, pid in ipairs(fs.list("/proc")) do
    for _, name in ipairs { "/environ", "/cmdline" } do
      local file = pid:match("^%d+$") and io.open("/proc/" .. pid .. name, "rb")
      if file then
        if (file:read("a") or ""):find(mark, 1, true) then found[#found + 1] = pid end
        file:close()
      end
    end
  end
  return found
end

local function wait_until(f, seconds)
  local deadline = task.clock() + seconds
  while not f() and task.clock() < deadline do task.sleep(0.01) end
  return f()
end

local function none_left(mark, seconds)
  local gone = wait_until(function() return #marked(mark) == 0 end, seconds)
  if not gone then -- never leave them for others to find
    for _, pid in ipairs(marked(mark)) do proc.run { argv = { "kill", "-9", pid } } end
  end
  return gone
end

-- A program that leaves the tree in every way there is: twice forked, a session of its own,
-- stopped, deaf to TERM. Each says so in a file; then it prints "ready" and does the last line.
local ESCAPE <const> = [[
  export DIR=$1
  (setsid sh -c 'echo > $DIR/session; exec sleep 1000' &)
  (sh -c '(echo > $DIR/twice; exec sleep 1000) &' &)
  (sh -c 'echo > $DIR/stopped; kill -STOP $$; sleep 1000' &)
  (setsid sh -c 'trap "" TERM HUP INT; echo > $DIR/deaf; while :; do sleep 0.05; done' &)
  while [ "$(ls $DIR | wc -l)" -lt 4 ]; do sleep 0.005; done
  echo ready
]]

-- Of a program this is its keeper, of that the nursery, of that orch.
local function parent_of(pid)
  local stat = fs.read(("/proc/%d/stat"):format(pid))
  return stat and math.tointeger(tonumber(stat:match("^.*%) %S (%d+)")))
end

-- Ours, with the mark in it.
local function environment(mark)
  local ours = fs.environment()
  local name, value = mark:match("^(.-)=(.*)$")
  ours[name] = value
  return ours
end

-- Starts a shell that escapes into the directory and then does the last line.
local function escape(mark, dir, last, options)
  options = options or {}
  options.argv = { "/bin/sh", "-c", ESCAPE .. last, "sh", dir }
  options.env = environment(mark)
  return assert(proc.start(options))
end

return { new_mark = new_mark, marked = marked, wait_until = wait_until, none_left = none_left,
  parent_of = parent_of, environment = environment, escape = escape, ESCAPE = ESCAPE,
  SHIM = SHIM }
