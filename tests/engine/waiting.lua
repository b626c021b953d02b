-- What specs of tasks wait for, and cancel.
local error_value = require "orch.error"
local task = require "orch.task"

local function reason(text)
  return error_value.new { kind = "cancelled", message = text or "no longer wanted" }
end

local function never() task.sleep(1000) end

-- Other tasks get their turn.
local function turn() task.sleep(0) end

-- Seconds that f takes.
local function seconds_of(f, ...)
  local started = task.clock()
  f(...)
  return task.clock() - started
end

return { reason = reason, never = never, turn = turn, seconds_of = seconds_of }
