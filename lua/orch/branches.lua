-- Several things at once, or for a limited time; all that was started has ended when a call
-- returns.
local error_value = require "orch.error"
local scope = require "orch.scope"
local task = require "orch.task"

local CLEANUP_SECONDS <const> = 30
local SECONDS_MAX <const> = 1e9

local ALL <const> = "orch.all { a = function() job:run \"…\" end, b = function() … end }"

local function sorted_names(functions)
  local names, wrong = {}, type(functions) ~= "table" and "got " .. type(functions) or nil
  for name, f in pairs(wrong and {} or functions) do
    if type(name) ~= "string" then
      wrong = ("got a %s without a name"):format(type(f))
    elseif type(f) ~= "function" then
      wrong = ("'%s' is a %s"):format(name, type(f))
    end
    names[#names + 1] = name
  end
  if wrong then
    error(error_value.new { kind = "usage", hint = ALL,
      message = ("orch.all: expected { name = function, … }: %s"):format(wrong) }, 0)
  end
  table.sort(names)
  return names
end

local function pass_on(good, ...)
  if not good then error((...), 0) end
  return ...
end

-- branch: the place of the one that failed, where there is one.
local function cancel_others(running, failed, branch)
  for name, each in pairs(running) do
    if name ~= failed then
      each:cancel(error_value.new { kind = "cancelled", branch = branch,
        message = ("cancelled, because branch '%s' failed"):format(failed) })
    end
  end
end

--- Runs the named functions side by side. When one fails the others are cancelled, and its error is
--- raised once all have ended; one that waits for an answer (`job:ask`) leaves the others to go on.
---@param functions table<string, fun(): any>
---@return table<string, any> results the first result of each, by name
local function all(functions)
  local names = sorted_names(functions)
  local parent = scope.current()
  local running, results, scopes = {}, {}, {}
  local failure, cancelled
  for _, name in ipairs(names) do scopes[name] = parent and parent:branch(name) end

  local function run(name)
    if parent then scope.enter(scopes[name]) end
    local good, result = xpcall(functions[name], error_value.on_error)
    if good then
      results[name] = result
    elseif result.hold then -- the others go on, and may ask too
      failure = failure or result
    elseif result.answered then
      -- cancelled in an earlier session, by a failure that is answered too
      cancelled = result
    elseif not failure or failure.hold then
      failure = result
      cancel_others(running, name, parent and scopes[name].id)
    end
  end

  -- A task of its own is over only when all its branches are, however it ends.
  local group = task.spawn(function()
    for _, name in ipairs(names) do running[name] = task.spawn(run, name) end
    for _, name in ipairs(names) do running[name]:join() end
  end)
  pass_on(group:join())
  failure = failure or cancelled
  if failure then error(failure, 0) end
  return results
end

local function is_time(value)
  return type(value) == "number" and value >= 0 and value < SECONDS_MAX
end

--- Calls f and gives it that many seconds; then it is cancelled, and an error of kind timeout
--- raised.
---@param seconds number
---@param f fun(): any
---@param what? string what takes so long, for the error
local function timeout(seconds, f, what)
  if not is_time(seconds) or type(f) ~= "function" then
    error("orch.timeout: expected orch.timeout(seconds, function() … end)", 2)
  end
  local parent = scope.current()
  local running = task.spawn(function()
    if parent then scope.enter(parent) end
    return f()
  end)
  local function finish(good, ...)
    if good ~= nil then return pass_on(good, ...) end
    local late = error_value.new { kind = "timeout",
      message = ("%stook longer than %g s"):format(what and what .. " " or "", seconds) }
    running:cancel(late)
    running:join()
    error(late, 0)
  end
  return finish(running:join(seconds))
end

--- Calls f even when the task is cancelled, and holds a cancellation back meanwhile.
---@param f fun(): any
---@param seconds? number for at most that long; default 30
local function cleanup(f, seconds)
  if type(f) ~= "function" or seconds and not is_time(seconds) then
    error("orch.cleanup: expected orch.cleanup(function() … end) or, with at most that many "
      .. "seconds for it, orch.cleanup(function() … end, seconds)", 2)
  end
  task.shield(seconds or CLEANUP_SECONDS)
  local function finish(...)
    task.unshield()
    return pass_on(...)
  end
  return finish(xpcall(f, error_value.on_error))
end

return { all = all, timeout = timeout, cleanup = cleanup }
