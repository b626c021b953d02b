-- The receiver: the job that a body is given, whose methods are the verbs.
local branches = require "orch.branches"
local call = require "orch.call"
local deferred = require "orch.deferred"
local definition = require "orch.job"
local error_value = require "orch.error"
local nearest = require "orch.nearest"
local options = require "orch.options"
local output = require "orch.output"
local record = require "orch.record"
local scope = require "orch.scope"
local secret = require "orch.secret"
local step = require "orch.step"
local task = require "orch.task"

---@class orch.Job
---@field name string
---@field params table<string, any>
---@field pipeline orch.PipelineValues
---@field needs table<string, table> outputs of the jobs it needs
---@field matrix table<string, any> its values, when it is an instance of a matrix
---@field secrets table<string, any> secret values by name
---@field dir string the working directory, as the steps see it
---@field tmp string a directory for files beside the work, as the steps see it
---@field host_tmp string a directory on this machine for what is on its way to or from the steps
---@field fs table files where the steps run
---@field proc table processes where the steps run
local Job = {}

local methods = {}

local PROGRESS_SECONDS <const> = 0.1
local LEAVE_SECONDS <const> = 90
local NOTHING <const> = record.fingerprint {}

--- Steps below a title of their own.
---@param title string
---@param f fun(): any
function methods.group(job, title, f)
  if type(title) ~= "string" or type(f) ~= "function" then
    options.usage("group: expected job:group(\"title\", function() … end)")
  end
  return job.run_step(job, { verb = "group", title = title, where = step.caller(),
    options = NOTHING, again = true, external = false }, f)
end

-- A secret shows as ***, here and nowhere that its text would count.
local function shown(format, ...)
  local values = table.pack(...)
  if values.n == 0 then return tostring(format) end
  for i = 1, values.n do
    if secret.is(values[i]) then values[i] = tostring(values[i]) end
  end
  local text = string.format(tostring(format), table.unpack(values, 1, values.n))
  return text
end

-- Outside of steps: lines of the job itself.
function methods.say(job, text)
  if job.planning then return end
  job.said = job.said or output.aside(job.bus, "job.log", { id = job.scope.id, job = job.name,
    journal = job.journal, name = job.journal:job_log_name(job.scope.id) })
  job.said:write(text)
end

--- A line in the report; a carriage return in it, which others may have sent, overwrites nothing.
function methods.log(job, format, ...)
  local line = (shown(format, ...) .. "\n"):gsub("\r+\n", "\n"):gsub("\r", "\\x0d")
  local current = step.current()
  if current then current.output:write(line) else job:say(line) end
end

--- Ends the job early, as a success.
function methods.halt() error(step.HALT, 0) end

local WHEN <const> = { "always", "on_fail", "on_success" }

--- Something to do when the body has ended: always, only when it failed ("on_fail"), or only when
--- it did not ("on_success"). Done in reverse order, also after a cancellation or time-out, and
--- then within 30 s each.
---@param f fun()
---@param when? "always"|"on_fail"|"on_success"
function methods.defer(job, f, when)
  if type(f) ~= "function" then options.usage("defer: expected job:defer(function() … end)") end
  if when ~= nil and not nearest.contains(WHEN, when) then
    options.usage("defer: there is no time '%s'%s", tostring(when),
      nearest.hint(tostring(when), WHEN))
  end
  if job.tidying then options.usage("defer: the body has ended") end
  table.insert(job.deferred, { f = f, when = when or "always" })
end

--- Adds jobs to the run while it goes on; they may need this one and any other. Their names.
---@param given orch.Definition[]
---@return string[]
function methods.add_jobs(job, given)
  if type(given) ~= "table" then
    options.usage("add_jobs: expected job:add_jobs { orch.job { … }, … }")
  end
  local list, names = definition.is_definition(given) and { given } or given, {}
  for i, each in ipairs(list) do
    if not definition.is_definition(each) then
      options.usage("add_jobs: expected jobs made by orch.job, got %s", type(each))
    end
    names[i] = each.name
  end
  -- A resumed run must make them again.
  local spec = { verb = "add_jobs", title = "add " .. table.concat(names, ", "),
    where = step.caller(), options = record.fingerprint(names), again = true, external = false,
    setting = true }
  return job.run_step(job, spec, function() return job:grow(list) end)
end

-- The step of the verb that calls.
local function of_verb(name)
  return step.current()
    or options.usage("job:%s is for verbs: call it in one (orch new verb NAME makes a file for it)",
      name)
end

--- For verbs: bytes that the step's program printed; a failure's error repeats the last lines.
---@param bytes string
---@param stream? "stdout"|"stderr" where known; then whole lines
function methods.print(_, bytes, stream)
  local current = of_verb "print"
  current.ran = true
  current.output:write(bytes, stream)
end

--- For verbs: something the run has made and its summary names.
---@param artifact { kind: string, name: string, digest?: string }
function methods.artifact(job, artifact)
  local current = of_verb "artifact"
  current.artifacts = current.artifacts or {}
  artifact.id, artifact.job = current.id, job.name
  local kept = {}
  for key, value in pairs(artifact) do kept[key] = value end
  table.insert(current.artifacts, kept)
  job.bus:emit("artifact", artifact)
end

--- For verbs: how far a transfer, or one of several, has come. Ten times a second is told at most,
--- and the end.
---@param progress { label: string, current: integer, total?: integer, unit?: "bytes"|"steps" } total: nil = not known
function methods.progress(job, progress)
  local current, now = of_verb "progress", task.clock()
  current.progress = current.progress or {}
  local last = current.progress[progress.label]
  local ended = progress.total and progress.current >= progress.total
  if last == true or last and not ended and now - last < PROGRESS_SECONDS then return end
  current.progress[progress.label] = ended or now
  job.bus:emit("step.progress", { id = current.id, job = job.name, label = progress.label,
    current = progress.current, total = progress.total, unit = progress.unit or "bytes" })
end

--- For verbs: a credential learnt at run time; no event shows it from now on.
function methods.mask(job, value) job.bus.masker:add(value) end

--- For verbs: the place of the step that is running.
function methods.step_id() return of_verb("step_id").id end

--- For verbs: takes bytes that are printed after the step has ended.
function methods.background_output(job)
  local current = of_verb "background_output"
  current.log = job.journal:log_name(current.seq, "background")
  return output.new(job.bus, current.id, job.journal, current.seq, "background")
end

--- For verbs: runs f in a task that lives as long as the job, not as the step. Nobody waits for it:
--- an error that f raises is said as a line of the job.
function methods.background(job, f)
  local running = job.task:spawn(function()
    local good, failure = xpcall(f, error_value.on_error)
    if not good and not task.cancelled() then
      job:say(("in the background: %s\n"):format(failure))
    end
  end)
  table.insert(job.in_background, running)
  return running
end

-- What of a job is no verb.
local FIELDS <const> = { "add_jobs", "defer", "dir", "env", "group", "halt", "log", "matrix", "name",
  "needs", "params", "pipeline", "secrets", "tmp" }

-- What needs the job's world made first.
local WORLD <const> = { dir = true, tmp = true, host_tmp = true, fs = true, proc = true }

local function open_world(job)
  local world = job.executor:open(job)
  for name in pairs(WORLD) do rawset(job, name, world[name]) end
  return world.record
end

--- Is it a name that a job has without a verb? A verb of that name could not be called.
---@param name string
local function is_own(name)
  return methods[name] ~= nil or WORLD[name] ~= nil or nearest.contains(FIELDS, name)
end

function Job.__index(job, key)
  if methods[key] then return methods[key] end
  if WORLD[key] then
    open_world(job)
    return rawget(job, key)
  end
  if type(key) ~= "string" then return nil end
  local verb = job.verbs:find(key)
  if not verb then
    local _, failure = pcall(job.verbs.missing, job.verbs, key, FIELDS)
    error(step.locate(failure, step.caller()), 0)
  end
  local method = call.method(job, key, verb)
  rawset(job, key, method)
  return method
end

--- The receiver for one attempt at a definition.
---@param fields table name, place, bus, journal, verbs, executor, params, pipeline, needs, secrets, env, …
local function new(fields)
  fields.scope = scope.new("job", fields.place)
  fields.said = false -- what is said outside of steps, once something is
  fields.deferred, fields.in_background = {}, {}
  fields.run_step = step.run
  fields.planning, fields.shell = fields.planning or false, fields.shell or false
  fields.rehearsing = fields.rehearsing or false
  fields.worked = false   -- has a step of the body been done, not answered from the record?
  fields.tidying = false  -- has the body ended?
  local job = setmetatable(fields, Job)
  job.scope.job = job
  return job
end

-- A world that takes its time to make is a step of its own, made before all others.
local function in_world(job, body)
  if job.executor.title then
    job.run_step(job, { verb = job.executor.kind, title = job.executor.title, options = NOTHING,
      again = true, external = false, setting = true }, open_world, job)
  end
  return body(job)
end

-- What still runs in the background must have ended before its world goes, or another attempt makes
-- it again.
local function leave_world(job, failure)
  if not job.executor.close and #job.in_background == 0 then return end
  branches.cleanup(function()
    for _, each in ipairs(job.in_background) do
      each:cancel(error_value.new { kind = "cancelled", message = "the job is over" })
      each:join()
    end
    if job.executor.close then
      scope.within(job.scope, function() job.executor:close(job, failure) end)
    end
  end, LEAVE_SECONDS)
end

--- Runs a body with its receiver; its outputs, or an error that says where.
---@param job orch.Job
---@param body fun(job: orch.Job): table?
---@return boolean good, any outputs_or_failure
local function perform(job, body)
  job.task = task.current()
  local good, value = scope.within(job.scope, in_world, job, body)
  if not good and value == step.HALT then good, value = true, nil end
  local failure = not good and value or nil
  failure = deferred.perform(job, failure)
  leave_world(job, failure)
  if job.said then job.said:close() end
  if failure then return false, failure end
  if value == nil then return true, {} end
  if type(value) ~= "table" then
    return false, error_value.new { kind = "usage",
      message = ("job '%s' must return a table of outputs, got %s"):format(job.name, type(value)) }
  end
  return true, value
end

return { new = new, perform = perform, is_own = is_own }
