-- What a reporter knows of a run from its events: jobs, the steps that run, their last lines and
-- transfers.
local term = require "orch.term"

local TAIL_LINES <const> = 8
local BARS_MAX <const> = 200 -- transfers kept per step
local NAME_COLUMNS <const> = 200

---@class orch.ui.Step
---@field id string
---@field job string
---@field title string
---@field where? string
---@field depth integer
---@field parent? orch.ui.Step
---@field group? boolean
---@field own boolean part of a verb's own work: not a line of the report
---@field label string the job and branch it runs in
---@field started number
---@field tail string[] the last lines, oldest first
---@field bars table[] transfers in the order in which they began
local Model = {}
Model.__index = Model

local function new()
  return setmetatable({ jobs = {}, order = {}, steps = {}, running = {}, artifacts = {},
    labels = {}, counts = {},
    widest = 0 }, Model)
end

-- How many jobs are in a state is asked with each event, and there may be many jobs.
function Model:enter(job, state)
  if job.state then self.counts[job.state] = self.counts[job.state] - 1 end
  job.state = state
  self.counts[state] = (self.counts[state] or 0) + 1
end

--- The job of that name, made when it is new.
function Model:job(name)
  local job = self.jobs[name]
  if not job then
    job = { name = name }
    self.jobs[name] = job
    self.order[#self.order + 1] = job
    self:enter(job, "waiting")
    local _, columns = term.fit(term.printable(name), NAME_COLUMNS)
    self.widest = math.max(self.widest, columns)
  end
  return job
end

-- "job/branch" of a step's place: what runs in one label runs in sequence.
local function label_of(event)
  return (event.id:gsub("/[^/#]*#%d+", ""):gsub("/~tidying", ""))
end

local function remove(list, value)
  for i, each in ipairs(list) do
    if each == value then return table.remove(list, i) end
  end
end

local take = {}

take["run.start"] = function(self, event)
  self.run = event
  self.started = event.clock
  for _, name in ipairs(event.jobs) do self:job(name) end
end

take["job.start"] = function(self, event)
  local job = self:job(event.job)
  self:enter(job, "running")
  job.started, job.where, job.note = event.clock, event.where, nil
end

take["job.recorded"] = function(self, event)
  self:enter(self:job(event.job), "recorded")
end

take["job.waiting"] = function(self, event)
  local job = self:job(event.job)
  job.note, job.waiting = ("waits for its turn in '%s'"):format(event.serial), event.clock
end

take["job.retry"] = function(self, event)
  local job = self:job(event.job)
  job.note, job.told = ("attempt %d"):format(event.attempt), nil
end

take["job.end"] = function(self, event)
  local job = self:job(event.job)
  self:enter(job, event.status)
  job.seconds, job.message, job.note = event.seconds, event.message, nil
end

take["step.start"] = function(self, event)
  local parent = self.steps[event.parent]
  -- A body that goes on has caught what was told; what tidies up after it has not.
  if self.jobs[event.job] and not event.id:find("/~tidying/", 1, true) then
    self.jobs[event.job].told = nil
  end
  local step = { id = event.id, job = event.job, title = event.title, where = event.where,
    depth = event.depth,
    parent = parent, group = event.group, own = parent ~= nil and (parent.own or not parent.group),
    verb = event.verb,
    label = label_of(event), started = event.clock, tail = {}, bars = {} }
  self.steps[event.id] = step
  self.running[#self.running + 1] = step
  if not event.group then self.labels[step.label] = (self.labels[step.label] or 0) + 1 end
end

take["step.output"] = function(self, event)
  local step = self.steps[event.id]
  if not step then return end
  local tail = step.tail
  if #tail == TAIL_LINES then table.remove(tail, 1) end
  tail[#tail + 1] = event.line
  step.printed = true
end

take["step.progress"] = function(self, event)
  local step = self.steps[event.id]
  if not step then return end
  for _, bar in ipairs(step.bars) do
    if bar.label == event.label then
      bar.current, bar.total, bar.unit = event.current, event.total, event.unit
      return
    end
  end
  if #step.bars < BARS_MAX then
    step.bars[#step.bars + 1] = { label = event.label, current = event.current, total = event.total,
      unit = event.unit }
  end
end

take["step.end"] = function(self, event)
  local step = self.steps[event.id]
  if not step then return end
  step.status, step.seconds, step.message, step.log = event.status, event.seconds, event.message,
    event.log
  if event.status ~= "success" then self:job(step.job).told = event.message end
  remove(self.running, step)
  step.tail, step.bars = {}, {}
  if step.group then return end
  local left = self.labels[step.label] - 1
  self.labels[step.label] = left > 0 and left or nil
end

take["artifact"] = function(self, event) self.artifacts[#self.artifacts + 1] = event end

--- Takes an event; what it says is known from then on.
function Model:take(event)
  if take[event.type] then take[event.type](self, event) end
end

--- How many jobs are in a state.
function Model:count(state) return self.counts[state] or 0 end

--- Why a job failed, when none of its steps has said so.
function Model:untold(job)
  if job.state ~= "failed" or not job.message or job.message == job.told then return nil end
  return (job.message:match("^[^\n]*"))
end

--- Why a step failed, without the command, which its title has named.
function Model.reason(step)
  local message = step.message:match("^[^\n]*")
  if message:sub(1, #step.title + 2) == step.title .. ": " then
    return message:sub(#step.title + 3)
  end
  return message:match(": (exit code %d+)$") or message:match(": (ended by signal %d+)$") or message
end

--- The titles of the groups around a step, and its own, outermost first.
---@return string[]
function Model.titles(step)
  local titles = {}
  while step do
    if not step.own then table.insert(titles, 1, step.title) end
    step = step.parent
  end
  return titles
end

return { new = new }
