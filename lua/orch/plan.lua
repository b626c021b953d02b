-- What a recipe would do: its bodies run with recorders for verbs and unknown values for what only
-- a run can tell. No network, no credentials, no child; the same input gives the same plan.
local engine = require "orch.engine"
local error_value = require "orch.error"
local event = require "orch.event"
local fs = require "orch.fs"
local json = require "orch.json"
local params = require "orch.params"
local pipeline_values = require "orch.pipeline_values"
local plan_memory = require "orch.plan_memory"
local plan_text = require "orch.plan_text"
local receiver = require "orch.receiver"
local scope = require "orch.scope"
local secret = require "orch.secret"
local secrets = require "orch.secrets"
local step = require "orch.step"
local strict = require "orch.strict".strict
local unknown = require "orch.unknown"

local advice <const> = require "orch.strict".advice

local STEPS_MAX <const> = 100000 -- of a job: in a plan, a loop may never end

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

-- Options that say something: not those left at their defaults.
local function chosen(verb, given)
  local options = {}
  for name, value in pairs(given) do
    local default = verb.schema.options[name].default
    local empty = type(default) == "table" and type(value) == "table" and next(default) == nil
      and next(value) == nil
    if unknown.is(value) or value ~= default and not empty then options[name] = shown(value) end
  end
  return options
end

-- What consists of steps of its own.
local function inside(place, f, ...)
  place.step = { output = { write = function() end } }
  local outcome = table.pack(scope.within(place, f, ...))
  if not outcome[1] then error(outcome[2], 0) end
  return table.unpack(outcome, 2, outcome.n)
end

-- Takes the place of step.run: records the call, gives what a fake answers, or what the verb's plan
-- knows.
local function recorder(planned, fakes)
  return function(job, spec, f, ...)
    local parent = scope.current() or job.scope
    local place = parent:child("step", spec.verb)
    local entry = { id = place.id, verb = spec.verb, title = spec.title, where = spec.where,
      depth = parent:shown().depth, put_off = spec.put_off }
    plan_memory.check(spec.where)
    if #planned.steps == STEPS_MAX then
      error(error_value.new { kind = "limit", where = spec.where,
        message = ("the plan of a job ends after %d steps"):format(STEPS_MAX),
        hint = "if this loop never ends, let it end by what a step gives, or by a count" }, 0)
    end
    table.insert(planned.steps, entry)
    if spec.verb == "group" or spec.verb == "add_jobs" then return inside(place, f, ...) end
    local verb = job.verbs:find(spec.verb)
    entry.options = chosen(verb, spec.given)
    if fakes and fakes.really[spec.verb] then return inside(place, f, ...) end
    local value = fakes and fakes:answer(job, spec)
    if verb.effects then entry.effects = shown(verb.effects(spec.given)) end
    if value ~= nil then return value end
    if verb.plan then return engine.outside_body(verb.plan, job, spec.given) end
    return unknown.new(spec.verb)
  end
end

local function named_unknowns(prefix)
  return setmetatable({},
    { __index = function(_, key) return unknown.new(prefix .. tostring(key)) end })
end

local NO_WORLD <const> = { kind = "plan" }

-- Paths have names; files and processes are there only at run time.
function NO_WORLD.open(_, _)
  return { dir = "‹dir›", tmp = "‹tmp›", fs = unknown.new("job.fs"),
    proc = unknown.new("job.proc") }
end

local function silent_bus()
  return event.bus { add = function() return true end, apply = function(_, text) return text end }
end

local function secrets_of(definition)
  local values = {}
  for _, each in ipairs(definition.secrets) do values[each.name] = secret.new("", each.name) end
  return strict(values, "job.secrets", nil, advice.secrets)
end

local function table_copy(values)
  local copy = {}
  for key, value in next, values do copy[key] = value end
  return copy
end

-- As at run time: what is not there names itself.
local function needs_for(self, definition)
  local needs = {}
  for _, need in ipairs(definition.resolved_needs) do
    local outputs = self.outputs[need.name] or {}
    needs[need.name] = getmetatable(outputs) and outputs
      or strict(table_copy(outputs), "job.needs." .. need.name, nil,
        advice.outputs(need.name))
  end
  return strict(needs, "job.needs", nil, advice.needs)
end

local function plan_receiver(self, definition, planned)
  local made = receiver.new {
    name = definition.name, place = definition.name, bus = silent_bus(), verbs = self.recipe.verbs,
    executor = NO_WORLD,
    params = self.params, needs = needs_for(self, definition), secrets = secrets_of(definition),
    matrix = strict(table_copy(definition.values or {}), "job.matrix"),
    secret_names = {}, env = {}, shell = definition.shell, project = self.project, planning = true,
    rehearsing = self.fakes ~= nil,
    pipeline = self.pipeline,
    grow = function(_, definitions)
      local order = self.recipe.pipeline:grow(definitions)
      table.move(order, 1, #order, #self.order + 1, self.order)
      return order
    end,
  }
  made.run_step = recorder(planned, self.fakes)
  made.planned_steps = function() return #planned.steps end
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
  for i, each in ipairs(definition.secrets) do
    list[i] = each.name .. (each.optional and "?" or "")
    if not each.env then list[i] = ("%s (%s)"):format(list[i], secrets.origin(each)) end
  end
  return list
end

local function end_plan(self, definition, planned, problem)
  local failure = step.locate(problem, nil, nil)
  if failure.full then planned.steps = json.array {} end
  planned.ends = { message = failure.message, where = failure.where or definition.where,
    hint = failure.hint,
    decided = failure.decided or nil, kind = failure.kind }
  self.outputs[definition.name] = named_unknowns(definition.name .. ".")
  return planned
end

-- What a job's condition comes to: true, false, or nil when only a run can tell.
local function condition(self, definition)
  local needs = {}
  for _, need in ipairs(definition.resolved_needs) do needs[need.name] = self.outputs[need.name] end
  local good, value = pcall(definition.when,
    { params = self.params, matrix = definition.values or {},
    needs = needs, pipeline = self.pipeline })
  if good and unknown.is(value) or error_value.is(value) and value.decided then return nil end
  if not good then error(value, 0) end
  return value and true or false
end

-- With fakes a job that fails is known to, and what needs its success is not run.
local function is_reached(self, definition)
  for _, need in ipairs(definition.resolved_needs) do
    if self.fakes and not need.states[self.states[need.name]] then return false end
  end
  return true
end

local function plan_job(self, definition)
  local planned = { name = definition.name, where = definition.where, needs = needs_of(definition),
    secrets = secret_names(definition), steps = json.array {},
    environment = next(definition.environment) and shown(definition.environment) or nil,
    executor = definition.executor and definition.executor.title }
  if not is_reached(self, definition) then
    planned.not_run = true
    return planned
  end
  if definition.when then
    local good, runs = pcall(condition, self, definition)
    if not good then return end_plan(self, definition, planned, runs) end
    planned.conditional, planned.not_run = runs == nil or nil, runs == false or nil
    if runs == false then
      self.outputs[definition.name] = named_unknowns(definition.name .. ".")
      return planned
    end
  end
  local made = plan_receiver(self, definition, planned)
  local good, outputs = receiver.perform(made, definition.run)
  if good then
    self.outputs[definition.name] = outputs
    planned.outputs = shown(outputs)
    return planned
  end
  return end_plan(self, definition, planned, outputs)
end

-- What the effects of all steps come to.
local function summarize(plan)
  for _, kind in ipairs { "build", "push", "persist" } do
    plan[kind] = json.array {}
    for _, job in ipairs(plan.jobs) do
      for _, entry in ipairs(job.steps) do
        for _, name in ipairs((entry.effects or {})[kind] or {}) do
          table.insert(plan[kind],
            { name = name, job = job.name, where = entry.where, root = entry.effects.root })
        end
      end
    end
  end
end

-- An unknown value prints, whatever the format would make of it; `("%d"):format(x)` finds only the
-- one string.format.
local function formatting_unknowns(f)
  local format = string.format
  string.format = function(text, ...) -- luacheck: ignore 122
    local values, found, i = table.pack(...), false, 0
    for k = 1, values.n do found = found or unknown.is(values[k]) end
    if not found then return format(text, ...) end
    text = tostring(text):gsub("%%([-+ #0]*%d*%.?%d*)([%%%a])", function(_, kind)
      if kind == "%" then return nil end
      i = i + 1
      return unknown.is(values[i]) and "%s" or nil
    end)
    return format(text, table.unpack(values, 1, values.n))
  end
  local good, failure = pcall(f)
  string.format = format -- luacheck: ignore 122
  if not good then error(failure, 0) end
end

--- The plan of a recipe, plain values only.
---@param loaded table from recipe.load
---@param spec { params: table<string, string>, params_file?: string, jobs?: string[], project: orch.Project, fakes?: table }
---fakes: see rehearsal.lua, as are values and pipeline, which then take the place of params
local function plan(loaded, spec)
  local values, given = spec.values, spec.pipeline
  if not values then
    values, given = params.resolve(loaded.pipeline.params, spec.params or {}, spec.params_file)
  end
  local self = { recipe = loaded, project = spec.project, outputs = {}, fakes = spec.fakes,
    states = {}, pipeline = pipeline_values.planned(given),
    params = strict(values, "job.params", loaded.pipeline.params.names, params.ADVICE) }
  local result = { recipe = loaded.path, params = shown(values), jobs = json.array {} }
  self.order = loaded.pipeline:order(spec.jobs)
  formatting_unknowns(function()
    local at = 1
    while self.order[at] do -- it grows
      local planned = plan_job(self, loaded.pipeline.by_name[self.order[at]])
      self.states[planned.name] = planned.not_run and "not_run" or planned.ends and "failed"
        or "success"
      result.jobs[at], at = planned, at + 1
    end
  end)
  summarize(result)
  return result
end

--- Reads a plan that `orch plan --json` wrote.
local function read(path)
  local value, failure = json.decode(assert(fs.read(path)))
  if type(value) == "table" and value.jobs then return value end
  error(error_value.new { kind = "usage", message = ("%s is no plan: %s"):format(path,
    failure and failure.message or "it has no jobs"),
      hint = "write one with: orch plan RECIPE --json > FILE" }, 0)
end

return { plan = plan, text = plan_text.lines, read = read }
