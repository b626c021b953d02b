-- After every test nothing is left: no task, no handle on the loop, same working directory.
local busted = require "busted"
local fs = require "orch.fs"
local lfs = require "lfs"
local task = require "orch.task"

local before

local function settled()
  for _ = 1, 20 do
    local live = task.live()
    if live.tasks <= before.tasks and live.handles <= before.handles then return live end
    collectgarbage()
    task.sleep(0.005)
    fs.remove("/tmp/orch-never-was") -- a turn of the loop, in which the timer just used is closed
  end
  return task.live()
end

busted.subscribe({ "test", "start" }, function()
  before = task.live()
  before.cwd = lfs.currentdir()
  return nil, true
end)

busted.subscribe({ "test", "end" }, function(element, parent)
  local live = settled()
  local left = {}
  for name, count in pairs(live) do
    if count > before[name] then left[#left + 1] = ("%d %s"):format(count - before[name], name) end
  end
  if lfs.currentdir() ~= before.cwd then
    left[#left + 1] = "another working directory"
    lfs.chdir(before.cwd)
  end
  if #left > 0 then
    busted.publish({ "failure", "it" }, element, parent, "left over: " .. table.concat(left, ", "))
  end
  return nil, true
end)
