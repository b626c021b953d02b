-- After every test nothing is left: no task, no handle on the loop, no process, no open descriptor,
-- no temporary file, no container, same working directory. What was asked to end may need a while
-- on a busy machine.
local busted = require "busted"
local lfs = require "lfs"
local remains = require "remains"
local task = require "orch.task"

local PATIENCE <const> = tonumber(os.getenv "ORCH_TEST_PATIENCE" or 10) -- seconds

local before, file, test, test_parent

local function left_over() return remains.added(before, remains.look(file)) end

-- Each turn of the loop closes what is closing; sleeping is one, and its own timer is not counted
-- after it.
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

busted.subscribe({ "file", "start" }, function(element)
  file = element.name
  return nil, true
end)

busted.subscribe({ "test", "start" }, function(element, parent)
  test, test_parent = element, parent
  return nil, true
end)

-- Hooks of the root are the first before a test and the last after it: what specs put away is gone
-- by then.
busted.before_each(function()
  before = remains.look(file)
  before.cwd = lfs.currentdir()
end)

busted.after_each(function()
  local left = settled()
  if lfs.currentdir() ~= before.cwd then
    left[#left + 1] = "another working directory"
    lfs.chdir(before.cwd)
  end
  if #left > 0 then
    busted.publish({ "failure", "it" }, test, test_parent,
      "left over: " .. table.concat(left, ", "))
  end
end)
