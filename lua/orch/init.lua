-- The module that recipes require: what they are made of.
local branches = require "orch.branches"
local error_value = require "orch.error"
local job = require "orch.job"
local pipeline = require "orch.pipeline"
local task = require "orch.task"
local verb = require "orch.verb"

--- Ends the step, and with it the job, as failed.
---@param format string as for string.format when more is given; else the words themselves
local function fail(format, ...)
  local text = select("#", ...) == 0 and tostring(format or "the recipe says so")
    or string.format(tostring(format), ...)
  error(error_value.new { kind = "failed", message = text }, 0)
end

--- Steps run on this machine, in a directory of their own.
local function host(options)
  return require "orch.executor.host".new(options or {})
end

--- Steps run in a container of their own; see orch.executor.docker.
local function docker(options)
  return require "orch.executor.docker".new(options or {})
end

-- What takes one table, told of at the line of the recipe.
local function taking_one(name, f)
  return error_value.keeping_caller(function(given, ...)
    if select("#", ...) > 0 then
      error(error_value.new { kind = "usage",
        message = ("orch.%s takes one table, got %d values"):format(name, 1 + select("#", ...)),
        hint = ("write orch.%s { … }, with a dot and one table"):format(name) }, 0)
    end
    return f(given)
  end)
end

return {
  job = taking_one("job", job.define),
  pipeline = taking_one("pipeline", pipeline.define),
  verb = taking_one("verb", verb.define),
  host = taking_one("host", host),
  docker = taking_one("docker", docker),
  fail = fail,
  all = branches.all,
  timeout = branches.timeout,
  cleanup = branches.cleanup,
  sleep = task.sleep,
}
