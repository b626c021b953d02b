-- Runs one call of a verb as a step: its place, its record, events around it, an error that says
-- where.
local branches = require "orch.branches"
local error_value = require "orch.error"
local event = require "orch.event"
local journal = require "orch.journal"
local output = require "orch.output"
local record = require "orch.record"
local scope = require "orch.scope"
local task = require "orch.task"

local HALT <const> = error_value.new { kind = "failed", message = "the job was ended early" }

-- Names of files as errors tell them, by the source of their functions; false: the engine's own.
local files = {}

local function file_of(info)
  local source = info.source
  if source:byte() ~= 64 then return source:match("^=(.*)") or info.short_src end -- no "@": a text
  if files[source] == nil then
    local own = source:find("^@lua/orch/") or source:find("/lua/orch/", 1, true)
    files[source] = not own and source:sub(2)
  end
  return files[source]
end

-- The line of the recipe, or of the user's verb, that made the call.
local function caller()
  for level = 3, 40 do
    local info = debug.getinfo(level, "Sl")
    if not info then return nil end
    local file = info.what ~= "C" and file_of(info)
    if file then return file .. ":" .. info.currentline end
  end
end

--- What went wrong, as an error value that says where; the outermost call, the recipe's own, has
--- the last word.
local function locate(failure, where, title)
  if not error_value.is(failure) then
    failure = error_value.new { kind = "usage", message = tostring(failure) }
  end
  if where and failure.where and failure.where ~= where then
    failure.within = failure.within or failure.where
  end
  require "orch.syntax".explain(failure)
  failure.where = where or failure.where
  failure.step = title or failure.step
  return failure
end

--- How an end is called: success, failed, cancelled or hold.
local function state_of(good, failure)
  if good or failure == HALT then return "success" end
  if not error_value.is(failure) then return "failed" end
  return failure.hold and "hold" or failure.kind == "cancelled" and "cancelled" or "failed"
end

--- The step that is running in this task, if any; a verb's own words go there.
local function current()
  local place = scope.current()
  while place and not place.step do place = place.parent end
  return place and place.step
end

local function announce(job, step, kind, status)
  job.bus:emit(kind,
    { status = status, id = step.id, parent = step.parent, job = job.name, depth = step.depth,
    verb = step.verb,
    title = step.title, where = step.where, group = step.verb == "group" or nil })
end

-- What of a failure is recorded, so that a resumed body that caught it gets it again.
local function kept_failure(failure)
  local fields = {}
  for key, value in pairs(error_value.is(failure) and failure or {}) do
    if type(value) ~= "table" and key ~= "detail" and key ~= "traceback" then
      fields[key] = value
    end
  end
  return fields
end

-- All steps that a failure has ended, on its way to the job.
local function add_place(failure, id)
  failure.places = failure.places or {}
  table.insert(failure.places, id)
end

local function finish(job, step, good, ...)
  step.output:close()
  local failure
  if not good and (...) ~= HALT then
    -- A group is only a title: what failed in it says where.
    local told = step.verb == "group" and error_value.is((...)) and (...).step
    failure = told and (...) or locate((...), step.where, step.title)
    add_place(failure, step.id)
    if not failure.detail and step.ran then failure.detail = step.output:last_lines() end
    if step.verb == "run" and failure.kind == "failed" and failure.detail and not failure.hint then
      failure.hint = require "orch.listing".of_output(job, failure.detail)
    end
    if not failure.hint and step.given and failure.kind ~= "cancelled" then
      failure.hint = select(2, require "orch.foreign".find_in(step.given))
    end
  end
  local state = state_of(good, (...))
  -- A cancelled task cannot wait; what became of the step is recorded all the same.
  local message = failure and job.bus.masker:apply(failure.message)
  step.log = step.output.name or step.log
  if not good and (...) == HALT then step.halted = true end
  if state == "success" then
    job.journal:step_end(step, state, (...), nil)
  else
    branches.cleanup(function()
      job.journal:step_end(step, state, kept_failure(failure), message)
    end)
  end
  job.bus:emit("step.end",
    { id = step.id, job = job.name, status = state, seconds = task.clock() - step.started,
    message = message, error = event.told(failure), log = step.log })
  if not good then error(failure or (...), 0) end
  return ...
end

local function answered(job, step, recorded)
  announce(job, step, "step.recorded", recorded.state)
  if recorded.artifacts then
    for _, artifact in ipairs(record.decode(recorded.artifacts)) do
      job.bus:emit("artifact", artifact)
    end
  end
  if recorded.result == journal.HALTED then error(HALT, 0) end
  if recorded.state == "success" then return record.decode(recorded.result) end
  local failure = error_value.new(record.decode(recorded.result))
  add_place(failure, step.id)
  if recorded.state == "cancelled" then
    failure.answered = true
    task.current():cancel(failure) -- as it was: every later wait raises it again
  end
  error(failure, 0)
end

---@class orch.StepSpec
---@field verb string
---@field title string
---@field where? string
---@field options string fingerprint
---@field again boolean
---@field external boolean
---@field setting? boolean not the body's work, but what it works in: it calls for no tidying up

--- Runs f(...) as a step below the current scope, or answers it from the record.
---@param job orch.Job
---@param spec orch.StepSpec
---@param f function
local function run(job, spec, f, ...)
  local parent = scope.current() or job.scope
  local place = parent:child("step", spec.verb)
  local shown = parent:shown()
  -- Nothing of a secret's value is on record, also when the recipe has it in the clear.
  local title, given = job.bus.masker:apply(spec.title), job.bus.masker:apply(spec.options)
  local step = { id = place.id, parent = shown.id, depth = shown.depth, branch = place:area().id,
    job = job.name,
    verb = spec.verb, title = title, where = spec.where, options = given, again = spec.again,
    external = spec.external, started = task.clock(), given = spec.given }
  place.step = step
  if spec.verb ~= "group" then
    local recorded, reason, changed = job.journal:answer(place, spec.verb, given)
    if recorded then return answered(job, step, recorded) end
    if changed then job.journal:fell(job.name) end
    step.reason = reason
    -- The steps that it consists of are done again with it.
    if reason and spec.again then
      place.redo = ("%s, of which it is a part, is done again"):format(place.id)
    end
    if not spec.setting and not place:deferred() then job.worked = true end
  end
  if job.said then job.said:end_line() end
  job.journal:step_start(step)
  step.output = output.new(job.bus, step.id, job.journal, step.seq)
  announce(job, step, "step.start")
  if step.reason then
    job.bus:emit("step.reason", { id = step.id, job = job.name, reason = step.reason })
  end
  return finish(job, step, scope.within(place, f, ...))
end

return { run = run, caller = caller, locate = locate, current = current, state_of = state_of,
  HALT = HALT }
