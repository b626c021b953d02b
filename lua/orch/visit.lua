-- A visit to a job of a run: its body is entered as by a resumed run, up to the step at which that
-- would go on, and there something else is done. What has succeeded is answered from the record;
-- the container, logins and background steps are made again, since they are what the step finds.
-- Nothing is recorded.
local adoption = require "orch.adoption"
local attempt = require "orch.attempt"
local error_value = require "orch.error"
local event = require "orch.event"
local fs = require "orch.fs"
local journal = require "orch.journal"
local mask = require "orch.mask"
local receiver = require "orch.receiver"
local record = require "orch.record"
local scope = require "orch.scope"
local step = require "orch.step"
local strict = require "orch.strict".strict
local task = require "orch.task"
local workspace = require "orch.workspace"

local SETTLE_SECONDS <const> = 0.05 -- for branches to come to their steps

-- Raised in the body when the visit is over. On hold: nothing is tidied up, and all is kept.
local OVER <const> = error_value.new { kind = "cancelled", hold = true,
  message = "the visit is over" }

-- --- a run that is only read ---------------------------------------------------------------------

local function nothing() return {} end

local NOTHING <const> = { post = nothing, post_now = nothing, exec = nothing,
  exec_durable = nothing, settle = nothing }

local function reading(opened, number)
  local kept = journal.look(opened, number)
  kept.base, kept.resumed = NOTHING, true
  function kept.open_log() return assert(io.open("/dev/null", "w")) end
  -- as the executor would begin anew
  function kept.forget_job(_, name, reason)
    error(error_value.new { kind = "missing",
      message = ("job '%s' cannot be looked into: %s"):format(name, reason),
      hint = ("do it anew: orch resume %d"):format(number) }, 0)
  end
  return kept
end

local function outputs_of(kept)
  local outputs = {}
  for name, each in pairs(kept.jobs) do
    outputs[name] = each.outputs and record.decode(each.outputs) or nil
  end
  return outputs
end

--- A run to visit; nobody else works on it meanwhile.
---@param spec { recipe: table, project: orch.Project, row: table, state: table, tell: fun(event: table) }
---@return table
local function open(spec)
  local opened, row = spec.state, spec.row
  local kept = reading(opened, row.number)
  local self = { recipe = spec.recipe, project = spec.project, state = opened, journal = kept,
    id = row.id, dir = opened:run_dir(row.number), options = record.decode(row.options),
    params = strict(record.decode(row.params), "job.params"), outputs = outputs_of(kept),
    bus = event.bus(mask.new()), warned = {}, cwd = assert(fs.cwd()) }
  function self.add_jobs(_, definitions)
    local pipeline, names, new = self.recipe.pipeline, {}, {}
    for i, each in ipairs(definitions) do
      names[i] = each.name
      if not pipeline.by_name[each.name] and not pipeline.instances[each.name] then
        new[#new + 1] = each
      end
    end
    pipeline:grow(new)
    return names
  end
  kept.masker, self.bus.run = self.bus.masker, row.number
  self.bus:subscribe(spec.tell)
  self.recipe.words:go_to { write = nothing }
  self.workspace = workspace.new(opened.dir .. "/store", kept)
  return self
end

-- --- jobs that others have added -----------------------------------------------------------------

local NOWHERE <const> = { open = function() error(OVER, 0) end }

-- Only what is on record is answered, and no world is there: all that is wanted is in the recipe.
local function only_answered(job, spec, f, ...)
  if spec.verb == "group" or spec.verb == "add_jobs" then return step.run(job, spec, f, ...) end
  return step.run(job, spec, function()
    local recorded = job.journal.recorded[step.current().id]
    if not (recorded and recorded.state == "success" and recorded.result) then error(OVER, 0) end
    return record.decode(recorded.result)
  end)
end

local function place_of(self, name)
  local recorded = self.journal.jobs[name]
  return attempt.place_of(name, recorded and recorded.attempt or 1)
end

local function add_again(self, name)
  local definition = self.recipe.pipeline.by_name[name]
  local job = attempt.receiver(self, definition, place_of(self, name))
  job.executor, job.run_step = NOWHERE, only_answered
  receiver.perform(job, function()
    definition.run(job)
    error(OVER, 0) -- nothing is tidied up
  end)
end

--- Is it a job of the recipe, or one that a body has added to the run?
---@param self table what `open` gave
---@param name string
---@return boolean
local function has(self, name)
  local by_name, entered, more = self.recipe.pipeline.by_name, {}, true
  while not by_name[name] and more do
    more = false
    for adder in pairs(self.journal.jobs) do
      if by_name[adder] and not entered[adder] and adoption.has_grown(self.journal, adder) then
        entered[adder], more = true, true
        add_again(self, adder)
      end
    end
  end
  return by_name[name] ~= nil
end

-- --- where it stops ------------------------------------------------------------------------------

-- A failure that the body has caught has its result on record.
local RANKS <const> = { cancelled = 1, hold = 2, running = 2, failed = 3 }

-- The step of an attempt that ended it, the innermost; nil when the record has none.
local function last_step(kept, name, place)
  local found, rank = nil, 1
  for _, each in ipairs(kept.of_job[name] or {}) do
    local its = not (each.state == "failed" and each.result) and RANKS[each.state] or 0
    local here = each.id:sub(1, #place + 1) == place .. "/"
    if here and each.verb ~= "group" and not each.branch:find("~tidying", 1, true)
      and its >= rank then
      found, rank = each, its
    end
  end
  return found
end

local Stop = {}
Stop.__index = Stop

-- Is it part of a step that is done again?
local function within_redone()
  local place = scope.current()
  while place and not place.redo do place = place.parent end
  return place ~= nil
end

-- Done as in a resumed run: what is made again, and what the step to be reached is part of.
function Stop:goes_through(job, spec, id)
  if spec.setting then return true end
  local target = self.target and self.target.id or ""
  return id ~= target and (spec.again and job.journal.recorded[id] ~= nil or within_redone()
    or target:sub(1, #id + 1) == id .. "/")
end

function Stop:busily(f, ...)
  self.busy = self.busy + 1
  local _ <close> = setmetatable({}, { __close = function()
    self.busy = self.busy - 1
    self.visitor:unpark()
  end })
  return f(...)
end

-- Never returns: the visit is in place of the step, and of all that follows. Why it ends is no
-- failure of the step.
function Stop:arrive(spec, id)
  if not self.over then
    self.first = self.first or spec
    self.reached = self.reached or self.target and id == self.target.id and spec or nil
    self.visitor:unpark()
    while pcall(task.park) do end
  end
  error(OVER, 0)
end

function Stop:run_step(job, spec, f, ...)
  if spec.verb == "group" then return step.run(job, spec, f, ...) end
  if spec.verb == "run" and not spec.given.background then self.last = spec end
  return step.run(job, spec, function(...)
    local id = step.current().id
    if self.over or not self:goes_through(job, spec, id) then self:arrive(spec, id) end
    if spec.again then
      job.bus:emit("visit.again", { id = id, job = job.name, title = spec.title })
    end
    return self:busily(f, ...)
  end, ...)
end

-- Waits for the body: the step that is to be reached, else the first one that is not answered, else
-- its end.
function Stop:wait()
  while not self.reached and not self.ended do
    if self.first and self.busy == 0 then
      task.sleep(SETTLE_SECONDS)
      if self.reached or self.busy == 0 then break end
    else
      task.park()
    end
  end
  return self.reached or self.first
end

-- --- a visit -------------------------------------------------------------------------------------

-- Runs the body beside the visit: neither its time nor what it catches is the visit's.
local function enter(stop, job, body)
  local running = task.spawn(function()
    scope.enter(job.scope)
    local good, problem = pcall(body, job)
    stop.ended = { good = good, problem = not good and step.locate(problem) or nil }
    stop.visitor:unpark()
  end)
  local spec = stop:wait()
  return running, { step = stop.target, spec = spec, reached = stop.reached ~= nil,
    last = stop.last and stop.last.given, failure = not spec and stop.ended.problem or nil }
end

--- Calls f(job, at) where a resumed run would go on with a job; what f gives. at: step, the record
--- of the step that ended the job; spec, what the body has come to, with the options it was given;
--- reached, that it is that step; last, the options of the last shell step before; failure, why the
--- body came to no step.
---@param self table what `open` gave
---@param name string the job
---@param f fun(job: orch.Job, at: table): any
local function visit(self, name, f)
  local definition, place = self.recipe.pipeline.by_name[name], place_of(self, name)
  local job = attempt.receiver(self, definition, place)
  local stop = setmetatable({ target = last_step(self.journal, name, place), busy = 0,
    visitor = task.current() }, Stop)
  function job.run_step(...) return stop:run_step(...) end
  local result
  local _, failure = receiver.perform(job, function()
    local running, at = enter(stop, job, definition.run)
    local _ <close> = setmetatable({}, { __close = function()
      stop.over = true
      running:cancel(OVER)
      running:join()
    end })
    result = table.pack(f(job, at))
    error(OVER, 0)
  end)
  if failure ~= OVER then error(failure, 0) end
  return table.unpack(result, 1, result.n)
end

return { open = open, has = has, visit = visit }
