-- Runs a pipeline: one job after another as they need each other, with a record in the project's state.
local branches = require "orch.branches"
local error_value = require "orch.error"
local event = require "orch.event"
local executor_host = require "orch.executor.host"
local fs = require "orch.fs"
local job = require "orch.job"
local json = require "orch.json"
local mask = require "orch.mask"
local scope = require "orch.scope"
local secret = require "orch.secret"
local state = require "orch.state"
local task = require "orch.task"
local workspace = require "orch.workspace"

local Run = {}
Run.__index = Run

local function new_id()
  local bytes = assert(fs.random(16))
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
    :gsub("^(%x%x%x%x%x%x%x%x)(%x%x%x%x).(%x%x%x)(%x%x%x%x)", "%1-%2-4%3-%4-"))
end

-- Values of the declared secrets, by name; "NAME?" may be absent.
local function read_secrets(definition, masker)
  local values, missing = {}, {}
  for _, declared in ipairs(definition.secrets) do
    local name, optional = declared:match("^([%a_][%w_]*)(%??)$")
    if not name then
      error(error_value.new { kind = "usage", where = definition.where,
        message = ("job '%s': secret '%s' is no name of a variable"):format(definition.name, declared) }, 0)
    end
    local value = os.getenv(name)
    if value and value ~= "" then
      values[name] = secret.new(value, name)
      masker:add(values[name])
    elseif optional == "" then
      missing[#missing + 1] = name
    end
  end
  if #missing > 0 then
    error(error_value.new { kind = "auth", where = definition.where,
      message = ("job '%s' needs the secret%s %s"):format(definition.name, #missing > 1 and "s" or "",
        table.concat(missing, ", ")),
      hint = "set " .. (#missing > 1 and "them" or "it") .. " in the environment of orch" }, 0)
  end
  return values
end

-- A missing key names itself, as a recipe's typo should.
local function strict(values, what)
  return setmetatable(values, { __index = function(_, key)
    error(error_value.new { kind = "usage",
      message = ("%s has no '%s'"):format(what, tostring(key)) }, 0)
  end })
end

-- job.pipeline: the git part costs a process and is read when first asked for.
local function pipeline_values(self)
  return setmetatable({ number = self.number, id = self.id }, { __index = function(values, key)
    if key ~= "git" then
      error(error_value.new { kind = "usage",
        message = ("job.pipeline has no '%s' (known: git, id, number)"):format(tostring(key)) }, 0)
    end
    local info = assert(require "orch.repo".info { dir = self.project.dir })
    rawset(values, "git", { revision = info.sha, branch = info.branch, tag = info.tag, url = info.remote_url })
    return values.git
  end })
end

local function copied(map)
  local copy = {}
  for key, value in pairs(map) do copy[key] = value end
  return copy
end

function Run:job_receiver(definition, secrets)
  local needs = {}
  for _, name in ipairs(definition.needs) do needs[name] = strict(self.outputs[name], "job.needs." .. name) end
  return job.receiver {
    name = definition.name,
    bus = self.bus,
    verbs = self.recipe.verbs,
    executor = definition.executor or executor_host.new {},
    params = self.params,
    pipeline = pipeline_values(self),
    needs = strict(needs, "job.needs"),
    secrets = strict(secrets, "job.secrets"),
    secret_names = definition.secrets,
    env = copied(definition.env),
    project = self.project,
    workspace = self.workspace:for_job(definition.name, self.recipe.pipeline:upstream(definition.name)),
    run_dir = self.dir,
    clean_up = {},
  }
end

local function outputs_of(definition, value)
  if value == nil then return {} end
  if type(value) == "table" then return value end
  error(error_value.new { kind = "usage", where = definition.where,
    message = ("job '%s' must return a table of outputs, got %s"):format(definition.name, type(value)) }, 0)
end

-- What the job started or made for its own time is undone, whatever became of it.
local function tidy(receiver)
  branches.cleanup(function()
    for i = #receiver.clean_up, 1, -1 do receiver.clean_up[i]() end
  end)
end

function Run:run_job(name)
  local definition = self.recipe.pipeline.by_name[name]
  local started = task.clock()
  self.bus:emit("job.start", { id = name, job = name, where = definition.where })
  local receiver
  local good, result = pcall(function()
    receiver = self:job_receiver(definition, read_secrets(definition, self.bus.masker))
    local succeeded, value = scope.within(receiver.scope, definition.run, receiver)
    if not succeeded then error(value, 0) end
    return outputs_of(definition, value)
  end)
  if receiver then tidy(receiver) end
  if not good then
    result = job.locate(result, result.where or definition.where, result.step)
    result.job = name
  end
  self.bus:emit("job.end", { id = name, job = name, status = good and "success"
    or result.kind == "cancelled" and "cancelled" or "failed", seconds = task.clock() - started })
  if not good then error(result, 0) end
  self.outputs[name] = result
end

function Run:execute(order)
  self.bus:emit("run.start", { number = self.number, id = self.id, recipe = self.recipe.path,
    jobs = order })
  local started = task.clock()
  local good, failure = pcall(function()
    for _, name in ipairs(order) do self:run_job(name) end
  end)
  local status = good and "success" or failure.kind == "cancelled" and "cancelled" or "failed"
  branches.cleanup(function()
    self.state:end_run(self.number, status, task.time(), failure and self.bus.masker:apply(failure.message))
    if fs.stat(self.dir) then assert(fs.remove(self.dir)) end
    self.state:close()
  end)
  self.bus:emit("run.end", { number = self.number, status = status, seconds = task.clock() - started })
  return good, failure
end

---@class orch.RunSpec
---@field recipe table from recipe.load
---@field project orch.Project
---@field jobs? string[] only these and what they need
---@field params table<string, string> as given on the command line
---@field reporters function[] receivers of events

--- Runs a recipe to its end.
---@param spec orch.RunSpec
---@return boolean good, table? failure an error value, masked
local function run(spec)
  local order = spec.recipe.pipeline:order(spec.jobs)
  local params = spec.recipe.pipeline.params:check_texts("orch run", spec.params)
  local self = setmetatable({ recipe = spec.recipe, project = spec.project, outputs = {} }, Run)
  self.params = strict(params, "job.params")
  self.bus = event.bus(mask.new())
  for _, receive in ipairs(spec.reporters) do self.bus:subscribe(receive) end
  self.state = state.open(spec.project)
  self.id = new_id()
  self.number = self.state:begin_run { id = self.id, recipe = spec.recipe.path, started = task.time(),
    params = json.encode(params) }
  self.bus.run = self.number
  self.dir = self.state:run_dir(self.number)
  self.workspace = workspace.new(self.state.dir .. "/store", self.number)
  return self:execute(order)
end

return { run = run }
