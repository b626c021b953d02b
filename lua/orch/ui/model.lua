-- What a reporter knows of a run from its events: jobs, the steps that run, their last lines and transfers.
local TAIL_LINES <const> = 8
local BARS_MAX <const> = 200 -- transfers kept per step

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
  return setmetatable({ jobs = {}, order = {}, steps = {}, running = {}, artifacts = {}, labels = {}, finished = 0 }, Model)
end

--- The job of that name, made when it is new.
function Model:job(name)
  local job = self.jobs[name]
  if not job then
    job = { name = name, state = "waiting" }
    self.jobs[name] = job
    self.order[#self.order + 1] = job
  end
  return job
end

-- "job/branch" of a step's place: what runs in one label runs in sequence.
local function label_of(event)
  return (event.id:gsub("/[^/#]*#%d+", ""))
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
  job.state, job.started, job.where, job.note = "running", event.clock, event.where, nil
end

take["job.recorded"] = function(self, event)
  self:job(event.job).state = "recorded"
end

take["job.waiting"] = function(self, event)
  self:job(event.job).note = ("waits for its turn in '%s'"):format(event.serial)
end

take["job.retry"] = function(self, event)
  self:job(event.job).note = ("attempt %d"):format(event.attempt)
end

take["job.end"] = function(self, event)
  local job = self:job(event.job)
  job.state, job.seconds, job.message, job.note = event.status, event.seconds, event.message, nil
end

take["step.start"] = function(self, event)
  local parent = self.steps[event.parent]
  local step = { id = event.id, job = event.job, title = event.title, where = event.where, depth = event.depth,
    parent = parent, group = event.group, own = parent ~= nil and (parent.own or not parent.group), verb = event.verb,
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
    step.bars[#step.bars + 1] = { label = event.label, current = event.current, total = event.total, unit = event.unit }
  end
end

take["step.end"] = function(self, event)
  local step = self.steps[event.id]
  if not step then return end
  step.status, step.seconds, step.message, step.log = event.status, event.seconds, event.message, event.log
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
function Model:count(state)
  local count = 0
  for _, job in ipairs(self.order) do
    if job.state == state then count = count + 1 end
  end
  return count
end

--- The step and the groups around it: "group › title".
function Model.path(step, into)
  local titles = {}
  while step do
    if not step.own then table.insert(titles, 1, step.title) end
    step = step.parent
  end
  return table.concat(titles, into)
end

return { new = new }
