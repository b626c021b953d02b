-- A run with fakes, for the tests of a recipe: its bodies run, its verbs are answered by the test.
-- Nothing is done.
local engine = require "orch.engine"
local error_value = require "orch.error"
local fs = require "orch.fs"
local nearest = require "orch.nearest"
local options = require "orch.options"
local pipeline_values = require "orch.pipeline_values"
local plan = require "orch.plan"
local recipe = require "orch.recipe"
local step = require "orch.step"
local strict = require "orch.strict".strict

local schema = options.schema {
  params = { "table", default = {} },
  pipeline = { "table", default = {} }, -- { number = 7, ["git.branch"] = "main" }
  jobs = "list?",
  -- what a verb gives: a value, or a function of its options and the job
  verbs = { "table", default = {} },
  -- verbs of the user's own that run, with what they call faked
  really = { "list", default = {} },
}

local Fakes = {}
Fakes.__index = Fakes

--- What a test answers for a verb; nil: it says nothing. An error that a fake raises is the step's.
function Fakes:answer(job, spec)
  local fake = self.verbs[spec.verb]
  if type(fake) ~= "function" then return fake end
  local good, value = pcall(engine.outside_body, fake, spec.given, job)
  if good then return value end
  error(step.locate(value, spec.where, spec.title), 0)
end

local function fakes_of(loaded, spec)
  local really, names = {}, loaded.verbs:names()
  for name in pairs(spec.verbs) do
    if not loaded.verbs:find(name) then
      options.usage("run: there is no verb '%s' to answer for%s", tostring(name),
        nearest.hint(tostring(name), names))
    end
  end
  for _, name in ipairs(spec.really) do
    if not loaded.verbs:path(name) then
      options.usage("run: '%s' is no verb of your own, and does nothing in a test; answer for it: verbs = { %s = … }", name, name)
    end
    really[name] = true
  end
  return setmetatable({ verbs = spec.verbs, really = really }, Fakes)
end

-- What a test has left open, and what is wrong with the recipe or a fake, is not for the test to
-- expect.
local function refuse_unfinished(job)
  local ends = job.ends
  if job.conditional then
    options.usage("whether job '%s' runs is decided on what the test leaves open: give pipeline = { … }, or fail or answer "
      .. "what it needs", job.name)
  end
  if not ends or not ends.decided and ends.kind ~= "usage" then return end
  local verb = ends.decided and ends.message:match("‹([%a_][%w_]*)")
  error(error_value.new { kind = "usage",
    message = ("job '%s': %s (%s)"):format(job.name, ends.message, ends.where or "?"),
    hint = verb and verb ~= "pipeline" and ("say what it gives: verbs = { %s = … }"):format(verb)
      or verb and "say what it is: pipeline = { … }" or ends.hint }, 0)
end

local function names_of(list)
  local names = {}
  for i, each in ipairs(list) do names[i] = each.name end
  return names
end

local function job_of(planned)
  local ends = planned.ends
  return { name = planned.name, steps = planned.steps, outputs = planned.outputs,
    failure = ends and ends.message,
    kind = ends and ends.kind, where = ends and ends.where,
    state = planned.not_run and "not_run" or ends and "failed" or "success" }
end

local Result = {}
Result.__index = Result

--- The options of each call of a verb, in order.
---@param verb string
---@param job? string of this job only
---@return table[]
function Result:calls(verb, job)
  local list = {}
  for _, name in ipairs(self.order) do
    for _, entry in ipairs((not job or name == job) and self.jobs[name].steps or {}) do
      if entry.verb == verb then list[#list + 1] = entry.options end
    end
  end
  return list
end

local function values_of(path, params, given)
  local good, values = pcall(params.check, params, "parameters", given)
  if good then return values end
  values.hint = values.hint
    or ("t:run(%q, { params = { NAME = value } }); `orch run %s --help` lists them"):format(path, path)
  error(values, 0)
end

--- Runs a recipe with fakes.
---@param path string
---@param given? { params?: table, pipeline?: table, jobs?: string[], verbs?: table<string, any>, really?: string[] }
---@return table { jobs: { NAME: { state, failure, outputs, steps } }, build, push, persist: string[] }
local function run(path, given)
  local spec = schema:check("run", given)
  local loaded, of_pipeline = recipe.load(path), {}
  for name, value in pairs(spec.pipeline) do
    pipeline_values.note(of_pipeline, "run", "pipeline." .. name, value, false)
  end
  local made = plan.plan(loaded,
    { values = values_of(path, loaded.pipeline.params, spec.params), pipeline = of_pipeline,
    jobs = spec.jobs, project = { dir = assert(fs.cwd()), in_git = false, key = "test" },
    fakes = fakes_of(loaded, spec) })
  local result =
    setmetatable({ jobs = {}, order = {}, build = names_of(made.build), push = names_of(made.push),
    persist = names_of(made.persist) }, Result)
  for i, each in ipairs(made.jobs) do
    refuse_unfinished(each)
    result.jobs[each.name], result.order[i] = job_of(each), each.name
  end
  strict(result.jobs, "run.jobs")
  return result
end

return { run = run }
