-- What has become of a container that no longer answers, as an error that says so.
local error_value = require "orch.error"
local task = require "orch.task"
local wire = require "orch.executor.docker.wire"

-- the connection ends a little before the Engine knows that the container has
local STOP_SECONDS <const> = 2
local POLL <const> = 0.1

local function failure_of(place, kind, hint, format, ...)
  local message = ("container %s %s"):format(place.id:sub(1, 12), format:format(...))
  return error_value.new { kind = kind, op = wire.OP, message = message, hint = hint and
    ("%s; `orch resume %s` then goes on"):format(hint, place.engine.owner.number) }
end

local function look(place)
  local good, state = pcall(place.engine.inspect, place.engine, place.id)
  if good then return state end
  if not error_value.is(state) or state.kind == "cancelled" then error(state, 0) end
  return nil, state
end

local function of_end(place, state)
  if state.OOMKilled then
    return failure_of(place, "limit", "give it more: resources = { memory = … }",
      "ran out of memory and was ended")
  end
  local said = state.Error ~= "" and ": " .. state.Error or ""
  return failure_of(place, "remote", "it was stopped from outside, or its daemon was",
    "has ended (exit code %s%s)", state.ExitCode, said)
end

--- Nil as long as the container runs.
---@param place { engine: table, id: string }
---@return table? err
local function of_container(place)
  local state, problem = look(place)
  if problem then
    problem.message = ("container %s is lost: %s"):format(place.id:sub(1, 12), problem.message)
    problem.hint =
      ("is the daemon running? When it is, `orch resume %s` goes on"):format(place.engine.owner.number)
    return problem
  end
  if not state then
    return failure_of(place, "remote", "its files are on volumes", "was removed")
  end
  return not state.State.Running and of_end(place, state.State) or nil
end

--- How it was lost, which the Engine may be a little late to know; nil when it goes on running.
---@param place { engine: table, id: string }
---@return table? err
local function await(place)
  local deadline = task.clock() + STOP_SECONDS
  repeat
    local known = of_container(place)
    if known then return known end
    task.sleep(POLL)
  until task.clock() > deadline
end

--- Why it does not answer; the failure itself when the container goes on running.
---@param place { engine: table, id: string }
---@param failure table
---@return table err
local function explain(place, failure)
  local known = await(place)
  if known then return known end
  failure.hint = failure.hint
    or ("`orch resume %s` goes on in it"):format(place.engine.owner.number)
  return failure
end

return { of_container = of_container, await = await, explain = explain }
