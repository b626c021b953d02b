-- Tasks that use one thing one after the other, in the order in which they came.
local task = require "orch.task"

local Turn = {}
Turn.__index = Turn

local function leave(queue, me)
  for i, each in ipairs(queue) do
    if each == me then
      table.remove(queue, i)
      break
    end
  end
  if queue[1] then queue[1]:unpark() end
end

--- Waits until it is this task's turn, which ends when the value is closed.
function Turn:take()
  local me, queue = task.current(), self.queue
  table.insert(queue, me)
  local mine = setmetatable({}, { __close = function() leave(queue, me) end })
  local good, problem = pcall(function()
    while queue[1] ~= me do task.park() end
  end)
  if good then return mine end
  leave(queue, me)
  error(problem, 0)
end

local function new() return setmetatable({ queue = {} }, Turn) end

return { new = new }
