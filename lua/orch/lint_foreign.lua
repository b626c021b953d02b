-- Rules of `orch check`: is there what only a CI service would put in?
local foreign = require "orch.foreign"
local steps = require "orch.lint_steps"

local rules = {}

function rules.expressions(plan, findings)
  steps.each_step(plan, function(entry)
    local expression, hint = foreign.find_in(entry.options or {})
    if expression then
      findings:add(entry.where, ("%s: nothing replaces %s here"):format(entry.verb, expression),
        hint)
    end
  end)
end

-- Their variables, by the value that is here.
local VARIABLES <const> = {
  CIRCLE_BRANCH = "job.pipeline.git.branch", GITHUB_REF_NAME = "job.pipeline.git.branch",
  CIRCLE_TAG = "job.pipeline.git.tag",
  CIRCLE_SHA1 = "job.pipeline.git.revision", GITHUB_SHA = "job.pipeline.git.revision",
  CIRCLE_BUILD_NUM = "job.pipeline.number", GITHUB_RUN_NUMBER = "job.pipeline.number",
  CIRCLE_JOB = "job.name", GITHUB_JOB = "job.name",
  CIRCLE_REPOSITORY_URL = "job.pipeline.git.url", CIRCLE_WORKING_DIRECTORY = "job.dir",
  GITHUB_WORKSPACE = "job.dir",
}

local function is_set(name, command, entry, job)
  local given = entry.options.environment or {}
  return given[name] ~= nil or (job.environment or {})[name] ~= nil
    or command:find(name .. "=", 1, true) ~= nil
    or not job.executor and os.getenv(name) ~= nil -- in that service
end

-- The shell takes what is not set for nothing, and goes on.
function rules.variables(plan, findings)
  steps.each_command(plan, function(command, entry, job)
    for name in command:gmatch("%${?([%u][%u%d_]+)") do
      if VARIABLES[name] and not is_set(name, command, entry, job) then
        return findings:add(entry.where, ("run: nothing sets $%s here"):format(name),
          ("environment = { %s = %s }"):format(name, VARIABLES[name]))
      end
    end
  end)
end

return rules
