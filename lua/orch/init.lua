-- The module that recipes require: what they are made of.
local branches = require "orch.branches"
local error_value = require "orch.error"
local job = require "orch.job"
local pipeline = require "orch.pipeline"
local task = require "orch.task"
local verb = require "orch.verb"

--- Ends the step, and with it the job, as failed.
---@param format string as for string.format
local function fail(format, ...)
  error(error_value.new { kind = "failed", message = format:format(...) }, 0)
end

--- Steps run on this machine, in a directory of their own.
local function host(options)
  return require "orch.executor.host".new(options or {})
end

--- Steps run in a container of their own; see orch.executor.docker.
local function docker(options)
  return require "orch.executor.docker".new(options or {})
end

local at_its_line <const> = error_value.keeping_caller

return {
  job = at_its_line(job.define),
  pipeline = at_its_line(pipeline.define),
  verb = at_its_line(verb.define),
  host = at_its_line(host),
  docker = at_its_line(docker),
  fail = fail,
  all = branches.all,
  timeout = branches.timeout,
  cleanup = branches.cleanup,
  sleep = task.sleep,
}
