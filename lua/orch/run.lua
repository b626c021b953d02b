-- Runs a pipeline: starts what may start, stops what must stop, and keeps the run's record.
local attempt = require "orch.attempt"
local branches = require "orch.branches"
local error_value = require "orch.error"
local event = require "orch.event"
local fs = require "orch.fs"
local graph = require "orch.graph"
local journal = require "orch.journal"
local mask = require "orch.mask"
local output = require "orch.output"
local params = require "orch.params"
local random = require "orch.random"
local record = require "orch.record"
local secrets = require "orch.secrets"
local slots = require "orch.slots"
local state = require "orch.state"
local strict = require "orch.strict".strict
local task = require "orch.task"
local workspace = require "orch.workspace"

local Run = { wanted = attempt.wanted }
Run.__index = Run

-- A random UUID, RFC 9562 version 4.
local function new_id()
  local hex = random.hex(16)
  return ("%s-%s-4%s-a%s-%s"):format(hex:sub(1, 8), hex:sub(9, 12), hex:sub(14, 16),
    hex:sub(18, 20), hex:sub(21, 32))
end

-- --- the schedule --------------------------------------------------------------------------------

local function cancel_running(self, failed)
  local reason = failed and ("job '%s' failed"):format(failed) or "the run cannot be recorded"
  for name, running in pairs(self.running) do
    if name ~= failed then
      local because = "cancelled, because " .. reason
      running:cancel(error_value.new { kind = "cancelled", message = because })
    end
  end
end

local function put_back(self, nodes)
  for _, node in ipairs(nodes) do self.graph:put_back(node) end
end

-- A job that ends without having been started may have got its slots already.
local function not_started(self, name, end_state)
  put_back(self, self.slots:give(self.graph.nodes[name]))
  self.journal:job_end(name, end_state)
  self.bus:emit("job.end", { id = name, job = name, status = end_state, seconds = 0 })
end

local function stop(self, failed)
  cancel_running(self, failed)
  self.graph:stop()
  put_back(self, self.slots:drain())
end

function Run:finished(node, end_state, failure)
  local name = node.name
  self.running[name] = nil
  self.running_count = self.running_count - 1
  put_back(self, self.slots:give(node))
  if failure and (not self.failure or self.failure.kind == "cancelled" or self.failure.hold) then
    self.failure = failure
  end
  if end_state == "failed" and not self.options.keep_going then stop(self, name) end
  -- What needs a job on hold waits with it.
  if end_state ~= "hold" then self.graph:finish(name, end_state) end
  self.coordinator:unpark()
end

function Run:start(node)
  if not self.slots:take(node) then return end
  self.running_count = self.running_count + 1
  self.running[node.name] = task.spawn(function()
    local good, problem = pcall(function()
      self:finished(node, attempt.attempt(self, node.definition))
    end)
    if good then return end
    -- What became of it cannot be recorded: nothing more may be done.
    self.broken = self.broken or problem
    self.coordinator:unpark()
  end)
end

function Run:schedule()
  self.coordinator = task.current()
  while self.graph.unfinished > 0 do
    while self.running_count < self.options.slots do
      local node = self.graph:take()
      if not node then break end
      self:start(node)
    end
    if self.running_count == 0 then break end -- the rest waits for a job that is on hold
    task.park()
    if self.broken then
      cancel_running(self)
      error(self.broken, 0)
    end
  end
end

-- --- the graph -----------------------------------------------------------------------------------

local function definitions_of(self, names)
  local definitions = {}
  for i, name in ipairs(names) do definitions[i] = self.recipe.pipeline.by_name[name] end
  return definitions
end

-- A body that is run again, by a retry or a resumed run, adds again what it has added.
local function not_yet_added(self, definitions, by)
  local list = {}
  for _, each in ipairs(definitions) do
    if self.added[each.name] ~= by then list[#list + 1] = each end
    self.added[each.name] = self.added[each.name] or by
  end
  return list
end

--- Adds jobs while the run goes on.
---@param definitions orch.Definition[]
---@param by string the job that does
---@return string[] names
function Run:add_jobs(definitions, by)
  local order = self.recipe.pipeline:grow(not_yet_added(self, definitions, by))
  self.graph:add(definitions_of(self, order))
  self.journal:plan(order)
  if next(self.journal.jobs) then require "orch.earlier".take(self, order) end
  self.coordinator:unpark()
  return order
end

-- What a later job lacks is told before the work of the others; the job itself fails.
local function tell_absent_secrets(self, order)
  for i, each in ipairs(definitions_of(self, order)) do
    local later = each.when == nil and #each.resolved_needs > 0
    local names = later and secrets.absent(each.secrets) or {}
    if #names > 0 then
      local message = ("job '%s' will fail: it needs %s, which %s not in the environment of orch"):format(
        order[i], table.concat(names, ", "), #names > 1 and "are" or "is")
      self.bus:emit("warning", { id = order[i], job = order[i], message = message })
    end
  end
end

local function keep_source(self, path, text)
  local former = self.journal:keep_source(fs.join(self.cwd, path), text)
  if former then
    self.bus:emit("run.changed", { id = self.id, diff = require "orch.diff".of_texts(former, text),
      message = ("%s has changed since the run began"):format(path) })
  end
end

local function build_graph(self)
  local order = self.recipe.pipeline:order(self.options.jobs)
  self.graph = graph.new(function(name, end_state) not_started(self, name, end_state) end)
  self.graph:add(definitions_of(self, order))
  self.journal:plan(order)
  self.bus:emit("run.start", { number = self.journal.number, id = self.id, dir = self.dir,
    recipe = self.recipe.path, jobs = order, resumed = self.journal.resumed })
  self.said = output.aside(self.bus, "run.log",
    { id = self.id, journal = self.journal, name = "logs/run.log" })
  if not self.journal.resumed then tell_absent_secrets(self, order) end
  self.recipe.words:go_to(self.said)
  self.recipe.files:tell(function(path, text) keep_source(self, path, text) end)
  if next(self.journal.jobs) then require "orch.earlier".take(self, order) end
end

-- --- a whole run ---------------------------------------------------------------------------------

-- Kept after a failure for `orch resume`. What is not deleted in time, `orch gc` deletes.
local function clean(self)
  for _, name in ipairs(self.journal:forget_others(self.graph.nodes)) do
    local message = ("job '%s', which an earlier session began, is no longer in the recipe"):format(name)
    self.bus:emit("run.changed", { id = self.id, message = message })
  end
  if self.journal.resumed then -- what belonged to those jobs
    pcall(require "orch.executor.docker.remains".remove, self.state,
      { number = self.journal.number, id = self.id })
  end
  pcall(branches.cleanup, function() self.state:remove_jobs(self.journal.number) end)
end

-- The words of an error leave the run outside the stream of events, too.
local function masked(self, failure)
  for key, value in pairs(failure or {}) do
    if type(value) == "string" then failure[key] = self.bus.masker:apply(value) end
  end
  return failure
end

local function status_of(self, good, problem)
  if not good then self.failure = self.failure or problem end
  if not self.failure then return "success" end
  if self.failure.hold then return "hold" end
  return self.failure.kind == "cancelled" and "cancelled" or "failed"
end

function Run:execute()
  local started = task.clock()
  -- The group is over when all its jobs are, also when it is cancelled.
  local group = task.spawn(function()
    build_graph(self)
    self:schedule()
  end)
  local joined, good, problem = pcall(group.join, group)
  if not joined then good, problem = false, good end
  if self.said then self.said:close() end
  local status = status_of(self, good, problem)
  if status == "success" then clean(self) end
  branches.cleanup(function()
    self.journal:run_end(status, self.failure and self.bus.masker:apply(self.failure.message))
    self.lock:release()
    self.state:release()
  end)
  self.bus:emit("run.end",
    { id = self.id, number = self.journal.number, status = status, seconds = task.clock() - started,
    error = event.told(self.failure), resumable = status ~= "success" or nil })
  return status == "success", masked(self, self.failure)
end

local function new(spec, opened, kept)
  local self = setmetatable({ recipe = spec.recipe, project = spec.project, state = opened,
    journal = kept, lock = kept.lock, outputs = {}, running = {}, running_count = 0, fates = {},
    slots = slots.new(function(name) return spec.recipe.pipeline:capacity(name) end), added = {},
    warned = {}, answers = spec.answers or {}, interactive = spec.interactive }, Run)
  self.bus = event.bus(mask.new())
  kept.masker = self.bus.masker
  for _, receive in ipairs(spec.reporters) do self.bus:subscribe(receive) end
  self.bus.run = kept.number
  self.dir, self.cwd = opened:run_dir(kept.number), assert(fs.cwd())
  self.workspace = workspace.new(opened.dir .. "/store", kept)
  return self
end

local function given_params(self, values)
  self.params = strict(values, "job.params", self.recipe.pipeline.params.names, params.ADVICE)
end

---@class orch.RunSpec
---@field recipe table from recipe.load
---@field project orch.Project
---@field base? table its state, which state.begin has begun to open
---@field jobs? string[] only these and what they need
---@field params? table<string, string> as given on the command line
---@field params_file? string JSON
---@field values? table<string, any> instead of both: parameters as values
---@field pipeline? table<string, any> with them: given values of job.pipeline
---@field adopt? integer a run whose finished jobs are not done again
---@field keep_going? boolean other jobs go on when one fails
---@field slots? integer jobs at once; default: the processors
---@field answers? table<string, string> to questions, by id
---@field interactive? boolean a person is at the terminal
---@field reporters function[] receivers of events

--- Runs a recipe to its end.
---@param spec orch.RunSpec
---@return boolean good, table? failure an error value
local function run(spec)
  local pipeline = spec.recipe.pipeline
  pipeline:order(spec.jobs) -- raises for an unknown name, before anything is recorded
  local values, of_pipeline = spec.values, spec.pipeline
  if values then values = pipeline.params:check("parameters", values)
  else values, of_pipeline = params.resolve(pipeline.params, spec.params, spec.params_file) end
  local opened = state.open(spec.project, spec.base)
  local id = new_id()
  local options = { jobs = spec.jobs, keep_going = spec.keep_going or false,
    slots = spec.slots or task.cores(), version = task.version, rerun_of = spec.adopt,
    pipeline = of_pipeline }
  local kept = journal.begin(opened, { id = id, project = spec.project.dir, params = values,
    recipe = fs.join(assert(fs.cwd()), spec.recipe.path), options = options })
  if spec.adopt then
    local adoption = require "orch.adoption"
    local finished = adoption.finished(journal.look(opened, spec.adopt), pipeline, spec.jobs)
    adoption.adopt(kept, spec.adopt, finished)
  end
  local self = new(spec, opened, kept)
  if spec.adopt then self.workspace:publish() end
  self.id, self.options = id, options
  given_params(self, values)
  return self:execute()
end

--- Goes on with a run that failed, was cancelled or interrupted.
---@param spec { recipe: table, project: orch.Project, reporters: function[], row: table, state: table, from?: string }
---@return boolean good, table? failure
local function resume(spec)
  local kept = journal.reopen(spec.state, spec.row.number, spec.from,
    fs.join(assert(fs.cwd()), spec.recipe.path))
  local self = new(spec, spec.state, kept)
  self.id = spec.row.id
  given_params(self, record.decode(spec.row.params))
  self.options = record.decode(spec.row.options)
  return self:execute()
end

return { run = run, resume = resume }
