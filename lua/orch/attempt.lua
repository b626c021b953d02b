-- One job of a run, from its lock to its end: waits for its turn, tries as often as it may, records
-- what became of it.
local branches = require "orch.branches"
local error_value = require "orch.error"
local event = require "orch.event"
local executor_host = require "orch.executor.host"
local fnv = require "orch.fnv"
local fs = require "orch.fs"
local nearest = require "orch.nearest"
local pipeline_values = require "orch.pipeline_values"
local receiver = require "orch.receiver"
local record = require "orch.record"
local secrets = require "orch.secrets"
local step = require "orch.step"
local strict = require "orch.strict"
local task = require "orch.task"

local advice <const> = strict.advice

local HOST <const> = executor_host.new {}
local SERIAL_POLL <const> = 0.1 -- seconds
local DELAY_MAX <const> = 600   -- between two attempts
local NO_SECRETS <const> = strict.kind("job.secrets", {}, advice.secrets)
local NEEDS <const> = strict.kind("job.needs", nil, advice.needs)
local MATRIX <const> = strict.kind "job.matrix"

local function copied(map)
  local copy = {}
  for key, value in pairs(map) do copy[key] = value end
  return copy
end

local function secrets_of(run, definition)
  if #definition.secrets == 0 then return setmetatable({}, NO_SECRETS) end
  local names = {}
  for i, each in ipairs(definition.secrets) do names[i] = each.name end
  local values = secrets.read(definition.name, definition.secrets, run.project.dir, run.bus.masker,
    function(message)
    if run.warned[message] then return end
    run.warned[message] = true
    run.bus:emit("warning", { id = definition.name, job = definition.name, message = message })
  end)
  return strict.strict(values, "job.secrets", names, advice.secrets)
end

local function new_receiver(run, definition, place)
  local needs = {}
  for _, need in ipairs(definition.resolved_needs) do
    needs[need.name] = strict.strict(run.outputs[need.name] or {}, "job.needs." .. need.name, nil,
      advice.outputs(need.name))
  end
  return receiver.new {
    name = definition.name,
    place = place,
    bus = run.bus,
    journal = run.journal,
    verbs = run.recipe.verbs,
    executor = definition.executor or HOST,
    params = run.params,
    pipeline = pipeline_values.of_run(run),
    needs = setmetatable(needs, NEEDS),
    matrix = setmetatable(definition.values or {}, MATRIX),
    secrets = secrets_of(run, definition),
    secret_names = secrets.hidden(definition.secrets),
    shell = definition.shell,
    env = copied(definition.environment),
    project = run.project,
    workspace = run.workspace:for_job(definition.name, run.recipe.pipeline),
    run_dir = run.dir,
    caches_dir = run.state.dir .. "/caches",
    times_dir = run.state.dir .. "/times",
    grow = function(_, definitions) return run:add_jobs(definitions, definition.name) end,
    answer_to = function(made, question)
      return require "orch.answers".get(run, made, question)
    end,
  }
end

local function try(run, definition, place)
  local made = new_receiver(run, definition, place)
  local function body() return receiver.perform(made, definition.run) end
  if definition.timeout == 0 then return body() end
  return branches.timeout(definition.timeout, body, "the job")
end

local function worth_another(definition, failure, left)
  if left == 0 or failure.kind == "cancelled" or failure.kind == "usage" or failure.hold then
    return false
  end
  return definition.retry.on == nil or nearest.contains(definition.retry.on, failure.kind)
end

-- The first attempt's places begin with the job's name, a later one's with name~2, so that records
-- do not mix.
local function place_of(name, attempt)
  return attempt == 1 and name or ("%s~%d"):format(name, attempt)
end

-- A resumed run goes on with the attempt that it was at, and may again try as often as the recipe
-- says.
local function try_all(run, definition, first)
  local attempt, left, delay = first, definition.retry.attempts - 1, definition.retry.delay
  while true do
    local good, result, value = pcall(try, run, definition, place_of(definition.name, attempt))
    if good and result then return true, value end
    local failure = step.locate(good and value or result, nil, nil)
    failure.where = failure.where or definition.where
    if not worth_another(definition, failure, left) then return false, failure end
    attempt, left, delay = attempt + 1, left - 1, math.min(delay, DELAY_MAX)
    run.bus:emit("job.retry",
      { id = definition.name, job = definition.name, attempt = attempt, delay = delay,
      reason = failure.message })
    local slept, cancelled = pcall(task.sleep, delay)
    if not slept then return false, cancelled end
    run.journal:job_attempt(definition.name, attempt)
    delay = delay * definition.retry.backoff
  end
end

-- One at a time among all runs of the project; the lock goes with the process.
local function take_serial(run, definition)
  if not definition.serial then return nil end
  local dir = run.state.dir .. "/serial"
  assert(fs.make_dir(dir))
  local path = ("%s/%s-%s"):format(dir, definition.serial:gsub("[^%w_.-]", "_"):sub(1, 100),
    fnv.hash(definition.serial))
  local told = false
  while true do
    local lock, failure = fs.lock(path)
    if lock then return lock end
    if failure.kind ~= "conflict" then error(failure, 0) end
    if not told then
      run.bus:emit("job.waiting",
        { id = definition.name, job = definition.name, serial = definition.serial })
      told = true
    end
    task.sleep(SERIAL_POLL)
  end
end

--- Does the job's condition let it run?
local function wanted(run, definition)
  if not definition.when then return true end
  local needs = {}
  for _, need in ipairs(definition.resolved_needs) do needs[need.name] = run.outputs[need.name] end
  return definition.when { params = run.params, pipeline = pipeline_values.of_run(run),
    needs = needs,
    matrix = definition.values or {} }
end

-- nil when they hold a secret's value: then a resumed run enters the job again for them.
local function encode_outputs(run, definition, outputs)
  local text = run.journal:encode(outputs)
  if text or record.encode(outputs) then return text end
  error(error_value.new { kind = "usage", where = definition.where,
    message = ("job '%s' returned what no record can keep: %s"):format(definition.name,
      record.blame(outputs, "outputs")),
    hint = "outputs are texts, numbers, booleans, and tables of these" }, 0)
end

local function perform(run, definition)
  if run.journal.resumed then require "orch.earlier".forget_outdated(run, definition) end
  if not wanted(run, definition) then return "not_run" end
  local lock = take_serial(run, definition)
  local recorded = run.journal.jobs[definition.name]
  local first = recorded and recorded.attempt or 1
  run.journal:job_start(definition.name, first)
  run.bus:emit("job.start",
    { id = definition.name, job = definition.name, where = definition.where })
  local good, value = try_all(run, definition, first)
  if lock then lock:release() end
  if not good then error(value, 0) end
  return "success", value, encode_outputs(run, definition, value)
end

--- Runs a job to its end, whatever it is; raises only when that cannot be recorded.
---@param run table
---@param definition orch.Definition
---@return string state, table? failure
local function attempt(run, definition)
  local started = task.clock()
  local good, state, outputs, text = pcall(perform, run, definition)
  local failure = not good and step.locate(state, nil, nil) or nil
  if failure then
    failure.where, failure.job = failure.where or definition.where, definition.name
    state = failure.hold and "hold" or failure.kind == "cancelled" and "cancelled" or "failed"
  end
  branches.cleanup(function()
    if failure and failure.places and failure.kind ~= "cancelled" then
      run.journal:fatal(failure.places)
    end
    run.journal:job_end(definition.name, state, text,
      failure and run.bus.masker:apply(failure.message),
      not failure)
  end)
  run.outputs[definition.name] = outputs
  run.bus:emit("job.end", { id = definition.name, job = definition.name, status = state,
    seconds = task.clock() - started, message = failure and failure.message,
    error = event.told(failure) })
  return state, failure
end

return { attempt = attempt, wanted = wanted, receiver = new_receiver, place_of = place_of }
