-- A job: its definition, and the receiver whose methods are the verbs.
local error_value = require "orch.error"
local options = require "orch.options"
local output = require "orch.output"
local scope = require "orch.scope"
local task = require "orch.task"

local Definition = {}
Definition.__index = Definition

local head = options.schema {
  name = "string",
  needs = { "list", default = {} },
  executor = "table?",
  secrets = { "list", default = {} },
  env = { "table", default = {} },
  run = "function",
}

--- Describes a job; nothing runs yet.
---@param description { name: string, needs?: string[], executor?: table, secrets?: string[], env?: table<string, string>, run: fun(job: orch.Job): table? }
local function define(description)
  local definition = head:check("orch.job", description)
  local info = debug.getinfo(2, "Sl")
  definition.where = ("%s:%d"):format(info.short_src, info.currentline)
  if not definition.name:match("^[%w][%w_.-]*$") then
    options.usage("orch.job: name '%s' must be letters, digits and _ . -", definition.name)
  end
  return setmetatable(definition, Definition)
end

local function is_definition(value) return getmetatable(value) == Definition end

---@class orch.Job the receiver
---@field name string
---@field params table<string, any>
---@field pipeline { number: integer, id: string, git: table }
---@field needs table<string, table> outputs of the jobs it needs
---@field secrets table<string, any> secret values by name
---@field dir string the working directory, as the steps see it
---@field tmp string a directory for files beside the work, as the steps see it
---@field fs table files where the steps run
---@field proc table processes where the steps run
local Job = {}

-- The line of the recipe, or of the user's verb, that made the call.
local function caller()
  for level = 3, 30 do
    local info = debug.getinfo(level, "Sl")
    if not info then return nil end
    if info.what ~= "C" and not info.source:find("^@lua/orch/") and not info.source:find("/lua/orch/", 1, true) then
      return ("%s:%d"):format(info.short_src, info.currentline)
    end
  end
end

-- What went wrong, as an error value that says where: the outermost call is the recipe's own.
local function locate(failure, where, title)
  if not error_value.is(failure) then
    failure = error_value.new { kind = "usage", message = tostring(failure) }
  end
  failure.where = where or failure.where
  failure.step = title
  return failure
end

local function outcome_of(good, failure)
  if good then return "success" end
  return error_value.is(failure) and failure.kind == "cancelled" and "cancelled" or "failed"
end

local function finish_step(job, step, good, ...)
  step.output:flush()
  local failure = not good and locate((...), step.where, step.title) or nil
  if failure and not failure.detail and step.ran then failure.detail = step.output:last_lines() end
  job.bus:emit("step.end", { id = step.id, status = outcome_of(good, failure),
    seconds = task.clock() - step.started, message = failure and failure.message or nil })
  if failure then error(failure, 0) end
  return ...
end

-- Runs f as a step below the current scope: events around it, errors located.
local function run_step(job, spec, f, ...)
  local parent = scope.current() or job.scope
  local place = parent:child(spec.group and "group" or "step", spec.verb)
  local step = { id = place.id, title = spec.title, where = spec.where, started = task.clock() }
  step.output = output.new(job.bus, place.id)
  place.step = step
  job.bus:emit("step.start", { id = place.id, parent = parent:shown().id, job = job.name,
    depth = parent:shown().depth, verb = spec.verb, title = spec.title, where = spec.where,
    group = spec.group })
  return finish_step(job, step, scope.within(place, f, ...))
end

-- The step that is running in this task, if any; a verb's own words go there.
local function current_step()
  local place = scope.current()
  while place and not place.step do place = place.parent end
  return place and place.step
end

local methods = {}

--- Steps below a title of their own.
---@param title string
---@param f fun(): any
function methods.group(job, title, f)
  if type(title) ~= "string" or type(f) ~= "function" then
    options.usage("group: expected job:group(\"title\", function() … end)")
  end
  return run_step(job, { verb = "group", title = title, where = caller(), group = true }, f)
end

--- A line in the report.
function methods.log(job, format, ...)
  local line = select("#", ...) > 0 and tostring(format):format(...) or tostring(format)
  local step = current_step()
  if step then
    step.output:write(line .. "\n")
  else
    job.bus:emit("job.log", { id = job.scope.id, job = job.name, line = line })
  end
end

--- For verbs: bytes that the step's program printed; a failure's error repeats the last lines.
function methods.print(_, bytes)
  local step = current_step()
  step.ran = true
  step.output:write(bytes)
end

--- For verbs: something the run has made and its summary names.
---@param artifact { kind: string, name: string, digest?: string }
function methods.artifact(job, artifact)
  artifact.id, artifact.job = current_step().id, job.name
  job.bus:emit("artifact", artifact)
end

--- For verbs: a credential learnt at run time; no event shows it from now on.
function methods.mask(job, secret) job.bus.masker:add(secret) end

-- What needs the job's world made first.
local WORLD <const> = { dir = true, tmp = true, fs = true, proc = true }

local function call_verb(job, name, verb, given)
  local where = caller()
  local good, checked = pcall(verb.schema.check, verb.schema, name, given)
  if not good then error(locate(checked, where, name), 0) end
  local title = checked.name or verb.title and verb.title(checked) or name
  checked.name = nil
  return run_step(job, { verb = name, title = title, where = where }, verb.run, job, checked)
end

function Job.__index(job, key)
  if methods[key] then return methods[key] end
  if WORLD[key] then
    for name, value in pairs(job.executor:open(job)) do rawset(job, name, value) end
    return rawget(job, key)
  end
  if type(key) ~= "string" then return nil end
  local verb = job.verbs:find(key)
  if not verb then
    local good, failure = pcall(job.verbs.missing, job.verbs, key)
    if not good then error(locate(failure, caller(), nil), 0) end
  end
  local function method(self, given)
    if self ~= job then
      options.usage("%s: call it with a colon, job:%s { … }", key, key)
    end
    return call_verb(job, key, verb, given)
  end
  rawset(job, key, method)
  return method
end

--- The receiver for one run of a definition.
---@param fields table name, bus, verbs, executor, params, pipeline, needs, secrets, env, …
local function receiver(fields)
  fields.scope = scope.new("job", fields.name)
  return setmetatable(fields, Job)
end

return { define = define, is_definition = is_definition, receiver = receiver, locate = locate }
