-- After every test nothing is left: no task, no handle on the loop, no child process, no open descriptor, no
-- temporary file, same working directory.
local busted = require "busted"
local lfs = require "lfs"
local task = require "orch.task"

local PATIENCE <const> = 2 -- seconds: what was asked to end may need a while on a busy machine
-- A private directory in which each new entry is ours (tests/suite.sh makes /tmp one); else nobody could say.
local temporary = os.getenv "ORCH_TEST_TMP"

local before

local function names(dir)
  local found = {}
  for name in lfs.dir(dir) do
    if name ~= "." and name ~= ".." then found[name] = true end
  end
  return found
end

-- Number and target of each open descriptor.
local function descriptors()
  local open = {}
  for number in pairs(names "/proc/self/fd") do
    local what = lfs.symlinkattributes("/proc/self/fd/" .. number, "target")
    if what and what ~= "/proc/self/fd" and not what:find "^/proc/%d+/fd$" then open[number .. " " .. what] = true end
  end
  return open
end

-- Kept for good once they are needed: what libuv polls with, randomness of libraries; sockets are counted apart.
local function kept(descriptor)
  return descriptor:find "anon_inode:%[event" or descriptor:find "anon_inode:%[io_uring"
    or descriptor:find " /dev/u?random" or descriptor:find " socket:"
end

local me = lfs.symlinkattributes("/proc/self", "target")

-- Processes whose parent is this one; a kernel may lack /proc/self/task/N/children.
local function children()
  local found = {}
  for pid in pairs(names "/proc") do
    local file = pid:find "^%d+$" and io.open("/proc/" .. pid .. "/stat")
    local stat = file and file:read "a"
    if file then file:close() end
    local name, state, parent = (stat or ""):match "^%d+ %((.*)%) (%a) (%d+)"
    if parent == me then found[pid .. " (" .. name .. (state == "Z" and ", a zombie)" or ")")] = true end
  end
  return found
end

-- Sockets that may stay: the connections that a pool keeps for a next request (which these are, nobody can see
-- from here), and the pair by which libcurl wakes itself.
local SOCKETS_MAX <const> = 16 + 2

local function sockets(open)
  local count = 0
  for descriptor in pairs(open) do
    if descriptor:find " socket:" then count = count + 1 end
  end
  return count
end

local function look()
  local live = task.live()
  return { tasks = live.tasks, handles = live.handles, children = children(), descriptors = descriptors(),
    files = temporary and names(temporary) or {} }
end

-- A list of what is there now and was not before, in words.
local function left_over()
  local now, left = look(), {}
  for _, what in ipairs { "tasks", "handles" } do
    if now[what] > before[what] then left[#left + 1] = ("%d %s"):format(now[what] - before[what], what) end
  end
  local more = sockets(now.descriptors) - sockets(before.descriptors)
  if more > SOCKETS_MAX then left[#left + 1] = more .. " sockets" end
  for what, word in pairs { children = "process", descriptors = "descriptor", files = "file" } do
    for name in pairs(now[what]) do
      if not before[what][name] and not (what == "descriptors" and kept(name)) then
        left[#left + 1] = word .. " " .. name
      end
    end
  end
  return left
end

-- Each turn of the loop closes what is closing; sleeping is one, and its own timer is not counted after it.
local function settled()
  local left, pause, deadline = left_over(), 0, task.clock() + PATIENCE
  while #left > 0 and task.clock() < deadline do
    collectgarbage()
    task.sleep(pause)
    pause = math.min(2 * pause + 0.001, 0.1)
    left = left_over()
  end
  return left
end

-- Hooks of the root are the first before a test and the last after it: what specs clean up is gone by then.
local test, test_parent
busted.subscribe({ "test", "start" }, function(element, parent)
  test, test_parent = element, parent
  return nil, true
end)

busted.before_each(function()
  before = look()
  before.cwd = lfs.currentdir()
end)

busted.after_each(function()
  local left = settled()
  if lfs.currentdir() ~= before.cwd then
    left[#left + 1] = "another working directory"
    lfs.chdir(before.cwd)
  end
  if #left > 0 then
    table.sort(left)
    busted.publish({ "failure", "it" }, test, test_parent, "left over: " .. table.concat(left, ", "))
  end
end)
