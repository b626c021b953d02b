-- What a recipe would do: its bodies run with recorders for verbs and unknown values for what only a run can tell.
-- No network, no credentials, no child; the same input gives the same plan.
local error_value = require "orch.error"
local event = require "orch.event"
local fs = require "orch.fs"
local json = require "orch.json"
local options = require "orch.options"
local params = require "orch.params"
local receiver = require "orch.receiver"
local scope = require "orch.scope"
local secret = require "orch.secret"
local step = require "orch.step"
local unknown = require "orch.unknown"

-- Options as plain values that read the same every time.
local function shown(value)
  if unknown.is(value) then return tostring(value) end
  if secret.is(value) then return ("‹secret %s›"):format(secret.name(value)) end
  if type(value) == "function" then return "‹function›" end
  if type(value) ~= "table" then return value end
  local copy = #value > 0 and json.array {} or {}
  for key, each in pairs(value) do copy[key] = shown(each) end
  return copy
end

-- Takes the place of step.run: records the call, gives what the verb's plan knows.
local function recorder(planned)
  return function(job, spec, f, ...)
    local parent = scope.current() or job.scope
    local place = parent:child("step", spec.verb)
    local entry = { id = place.id, verb = spec.verb, title = spec.title, where = spec.where,
      depth = parent:shown().depth, options = spec.given and shown(spec.given) or nil }
    table.insert(planned.steps, entry)
    if spec.verb == "group" then
      place.step = { output = { write = function() end } }
      local outcome = table.pack(scope.within(place, f, ...))
      if not outcome[1] then error(outcome[2], 0) end
      return table.unpack(outcome, 2, outcome.n)
    end
    local verb = job.verbs:find(spec.verb)
    if verb.effects then entry.effects = shown(verb.effects(spec.given)) end
    if verb.plan then return verb.plan(job, spec.given) end
    return unknown.new(spec.verb)
  end
end

local function named_unknowns(prefix)
  return setmetatable({}, { __index = function(_, key) return unknown.new(prefix .. tostring(key)) end })
end

local NO_WORLD <const> = { kind = "plan" }

-- Paths have names; files and processes are there only at run time.
function NO_WORLD.open(_, _)
  return { dir = "‹dir›", tmp = "‹tmp›", fs = unknown.new("job.fs"), proc = unknown.new("job.proc") }
end

local function silent_bus()
  return event.bus { add = function() return true end, apply = function(_, text) return text end }
end

local function secrets_of(definition)
  local values = {}
  for _, declared in ipairs(definition.secrets) do
    local name = tostring(declared):match("^[%w_]+")
    values[name] = secret.new("", name)
  end
  return values
end

local function plan_receiver(self, definition, planned)
  local needs = {}
  for _, need in ipairs(definition.resolved_needs) do needs[need.name] = self.outputs[need.name] or {} end
  local made = receiver.new {
    name = definition.name, place = definition.name, bus = silent_bus(), verbs = self.recipe.verbs, executor = NO_WORLD,
    params = self.params, needs = needs, matrix = definition.values or {}, secrets = secrets_of(definition),
    secret_names = definition.secrets, env = {}, project = self.project, planning = true,
    pipeline = { number = unknown.new("pipeline.number"), id = unknown.new("pipeline.id"),
      git = named_unknowns("pipeline.git.") },
  }
  made.run_step = recorder(planned)
  return made
end

local function needs_of(definition)
  local list = json.array {}
  for i, need in ipairs(definition.resolved_needs) do
    local states = {}
    for state in pairs(need.states) do states[#states + 1] = state end
    table.sort(states)
    list[i] = { name = need.name, on = json.array(states) }
  end
  return list
end

local function secret_names(definition)
  local list = json.array {}
  for i, declared in ipairs(definition.secrets) do list[i] = declared end
  return list
end

local function plan_job(self, definition)
  local planned = { name = definition.name, where = definition.where, needs = needs_of(definition),
    secrets = secret_names(definition), steps = json.array {}, conditional = definition.when ~= nil or nil }
  local made = plan_receiver(self, definition, planned)
  local good, outputs = receiver.perform(made, definition.run)
  if good then
    self.outputs[definition.name] = outputs
    planned.outputs = shown(outputs)
  else
    local failure = step.locate(outputs, nil, nil)
    planned.ends = { message = failure.message, where = failure.where or definition.where, hint = failure.hint,
      decided = failure.decided or nil }
    self.outputs[definition.name] = named_unknowns(definition.name .. ".")
  end
  return planned
end

-- What the effects of all steps come to.
local function summarize(plan)
  for _, kind in ipairs { "build", "push", "persist" } do
    plan[kind] = json.array {}
    for _, job in ipairs(plan.jobs) do
      for _, entry in ipairs(job.steps) do
        for _, name in ipairs((entry.effects or {})[kind] or {}) do
          table.insert(plan[kind], { name = name, job = job.name, where = entry.where, root = entry.effects.root })
        end
      end
    end
  end
end

--- The plan of a recipe, plain values only.
---@param loaded table from recipe.load
---@param spec { params: table<string, string>, params_file?: string, jobs?: string[], project: orch.Project }
local function plan(loaded, spec)
  local values = params.resolve(loaded.pipeline.params, spec.params or {}, spec.params_file)
  local self = { recipe = loaded, project = spec.project, outputs = {},
    params = setmetatable(values, { __index = function(_, key) options.usage("job.params has no '%s'", tostring(key)) end }) }
  local result = { recipe = loaded.path, params = shown(values), jobs = json.array {} }
  for _, name in ipairs(loaded.pipeline:order(spec.jobs)) do
    table.insert(result.jobs, plan_job(self, loaded.pipeline.by_name[name]))
  end
  summarize(result)
  return result
end

local function option_lines(lines, indent, given)
  local names = {}
  for name in pairs(given or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = given[name]
    if type(value) ~= "table" or next(value) ~= nil then
      lines[#lines + 1] = ("%s%s = %s"):format(indent, name, type(value) == "string" and value or json.encode(value))
    end
  end
end

local function job_lines(lines, job)
  local needs = {}
  for i, need in ipairs(job.needs) do needs[i] = need.name end
  lines[#lines + 1] = ""
  lines[#lines + 1] = ("job %s%s"):format(job.name, #needs > 0 and "  after " .. table.concat(needs, ", ") or "")
  if #job.secrets > 0 then lines[#lines + 1] = "  secrets: " .. table.concat(job.secrets, ", ") end
  if job.conditional then lines[#lines + 1] = "  runs only when its condition says so" end
  for _, entry in ipairs(job.steps) do
    local indent = ("  "):rep(entry.depth + 1)
    lines[#lines + 1] = ("%s%s%s"):format(indent, entry.verb, entry.title ~= entry.verb and "  " .. entry.title or "")
    option_lines(lines, indent .. "    ", entry.options)
  end
  if job.ends then
    lines[#lines + 1] = ("  … %s (%s)"):format(job.ends.message, job.ends.where or "?")
  end
  option_lines(lines, "  returns ", job.outputs)
end

local TITLES <const> = { { "build", "images to be built" }, { "push", "tags to be pushed" },
  { "persist", "files to be persisted" } }

--- The plan as lines of text.
local function text(result)
  local lines = { ("plan of %s"):format(result.recipe) }
  option_lines(lines, "  ", result.params)
  for _, job in ipairs(result.jobs) do job_lines(lines, job) end
  for _, each in ipairs(TITLES) do
    if #result[each[1]] > 0 then
      lines[#lines + 1] = ""
      lines[#lines + 1] = each[2]
      for _, entry in ipairs(result[each[1]]) do
        lines[#lines + 1] = ("  %s  (%s)"):format(entry.root and entry.root .. ": " .. entry.name or entry.name, entry.job)
      end
    end
  end
  return lines
end

--- Reads a plan that `orch plan --json` wrote.
local function read(path)
  local value, failure = json.decode(assert(fs.read(path)))
  if type(value) == "table" and value.jobs then return value end
  error(error_value.new { kind = "usage", message = ("%s is no plan: %s"):format(path,
    failure and failure.message or "it has no jobs"), hint = "write one with: orch plan RECIPE --json > FILE" }, 0)
end

return { plan = plan, text = text, read = read }
