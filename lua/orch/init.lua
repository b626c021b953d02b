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

return {
  job = job.define,
  pipeline = pipeline.define,
  verb = verb.define,
  host = host,
  docker = docker,
  fail = fail,
  all = branches.all,
  timeout = branches.timeout,
  cleanup = branches.cleanup,
  sleep = task.sleep,
}
