-- The reporter for logs and pipes: headings with clocks, all output as it comes, a summary. In a CI
-- service each step is a group that folds. Once two things run at the same time each line names the
-- job and branch that it is from.
local ci = require "orch.ui.ci"
local clock = require "orch.ui.clock"
local model = require "orch.ui.model"
local task = require "orch.task"
local term = require "orch.term"

local SILENCE_MAX <const> = 10 -- seconds without a line
local LOOK_SECONDS <const> = 0.5
local LABEL_MAX <const> = 32
local STILL_MAX <const> = 8  -- named when a silence is broken
local LONG_SECONDS <const> = 1 -- a step that took less is not worth a line about it

local Plain = {}
Plain.__index = Plain

local MARK <const> = { success = "ok", failed = "FAILED", cancelled = "cancelled",
  not_run = "not run", hold = "on hold",
  recorded = "done before", waiting = "waiting" }

function Plain:write(text)
  self.out:write(text, "\n")
  self.last = task.clock()
end

function Plain:line(format, ...) self:write(format:format(...)) end

-- A name or a message, whole: a carriage return in it hides nothing.
function Plain:shown(text)
  text = term.printable((text:gsub("\r+$", "")), self.colours)
  return self.ci and self.ci.clean(text) or text
end

-- A line as a program printed it: of what it has overwritten, the last.
function Plain:printed(line) return self:shown(line:match("([^\r]+)\r*$") or "") end

-- --- whose line it is ----------------------------------------------------------------------------

-- Two things at once: from now on each line says whose it is.
function Plain:watch_labels()
  if self.prefixed then return end
  local first = next(self.model.labels)
  if self.model:count "running" < 2 and not (first and next(self.model.labels, first)) then
    return
  end
  self:leave_group()
  self.prefixed = true
end

function Plain:prefix(label)
  if not self.prefixed then return "" end
  local text, used = term.fit(term.printable(label), LABEL_MAX)
  self.widest = math.max(self.widest or 0, used)
  return text .. (" "):rep(self.widest - used) .. " | "
end

-- --- groups of a CI service ----------------------------------------------------------------------

function Plain:leave_group()
  if not self.in_group then return end
  local text = self.ci.close(self.in_group, math.floor(task.time()))
  self.in_group = nil
  if text then self:write(text) end
end

function Plain:enter_group(step, heading)
  self:leave_group()
  self.in_group = step.id
  self:write(self.ci.open(step.id, heading, math.floor(task.time())))
end

-- --- events --------------------------------------------------------------------------------------

local handlers = {}

handlers["run.start"] = function(self, event)
  self:line("%s %d of %s", event.resumed and "resuming run" or "run", event.number,
    self:shown(event.recipe))
end

handlers["run.changed"] = function(self, event)
  self:line("note: %s", self:shown(event.message))
  for _, each in ipairs(self.why and event.diff or {}) do self:line("   %s", self:shown(each)) end
end

handlers["run.log"] = function(self, event)
  self:leave_group()
  self:line("   %s", self:printed(event.line))
end

handlers["job.recorded"] = function(self, event) self:line("\n== %s  (done before)", event.job) end

handlers["job.waiting"] = function(self, event)
  self:line("\n== %s waits for its turn in '%s'", event.job, self:shown(event.serial))
end

handlers["job.retry"] = function(self, event)
  self:leave_group()
  self:line("%s   %s: attempt %d in %s, because: %s", self:prefix(event.job), event.job,
    event.attempt,
    clock.duration(event.delay), self:shown(event.reason))
end

handlers["job.start"] = function(self, event)
  self:leave_group()
  self:watch_labels()
  if self.prefixed then
    self:line("%s== %s", self:prefix(event.job), event.job)
  else self:line("\n== %s", event.job) end
end

handlers["job.log"] = function(self, event)
  self:leave_group()
  self:line("%s   %s", self:prefix(event.job), self:printed(event.line))
end

handlers["ask"] = function(self, event)
  local prefix = self:prefix(event.job)
  local lines = event.question:gsub("[^\n]+", function(line) return self:shown(line) end)
  self:line("%s   ? %s%s  (orch answer %d %s VALUE)", prefix,
    (lines:gsub("\n", function() return "\n" .. prefix .. "     " end)),
    event.choices and ("  (%s)"):format(self:shown(event.choices)) or "", self.model.run.number,
    self:shown(event.id))
end

local function depth_of(step)
  local depth, around = 0, step.parent
  while around do depth, around = depth + 1, around.parent end
  return depth
end

-- The time since the job began: "+1.5 s", so that nobody takes it for the step's own.
function Plain:since_job(event)
  local seconds = event.clock - (self.model:job(event.job).started or event.clock)
  return "+" .. (seconds < 1 and ("%.1f s"):format(seconds) or clock.duration(seconds))
end

handlers["step.start"] = function(self, event)
  local step = self.model.steps[event.id]
  self:watch_labels()
  if step.own then return end
  local title, since = self:shown(event.title), self:since_job(event)
  if self.ci and not self.prefixed and not step.group then
    return self:enter_group(step,
      ("%s  (%s)"):format(self:shown(table.concat(self.model.titles(step), " > ")), since))
  end
  self:leave_group()
  self:write(self:prefix(step.label) .. ("  "):rep(depth_of(step)) .. "-- " .. title .. "  ("
    .. since .. ")")
end

handlers["step.recorded"] = function(self, event)
  local parent = self.model.steps[event.parent]
  if parent and (parent.own or not parent.group) then return end
  self:leave_group()
  local ended = event.status == "success" and "done" or event.status
  self:line("%s%s-- %s  (%s before)", self:prefix(event.job), ("  "):rep(event.depth),
    self:shown(event.title), ended)
end

handlers["step.reason"] = function(self, event)
  local step = self.model.steps[event.id]
  if self.why and step and not step.own then
    self:line("%s   done because %s", self:prefix(step.label), self:shown(event.reason))
  end
end

handlers["step.output"] = function(self, event)
  local step = self.model.steps[event.id]
  self:write(self:prefix(step and step.label or event.id) .. "   " .. self:printed(event.line))
end

-- A failure is told where it happened, and not again by the steps around it.
handlers["step.end"] = function(self, event)
  local step = self.model.steps[event.id]
  if not step then return end
  if event.status == "success" then
    if not step.own and not step.group and event.seconds >= LONG_SECONDS then
      self:line("%s   ok after %s", self:prefix(step.label), clock.duration(event.seconds))
    end
    return
  end
  local around, told = step.parent, step.told
  while around do around.told, around = event.message, around.parent end
  if told and told == event.message then return end
  local note = event.status == "failed" and self.ci
    and self.ci.failure(step.where, ("%s: %s"):format(step.job,
    term.printable(event.message or "")))
  local reason = event.status == "failed" and event.message
    and ": " .. self:shown(self.model.reason(step)) or ""
  self:line("%s   %s after %s%s", self:prefix(step.label), MARK[event.status],
    clock.duration(event.seconds), reason)
  if note and note:sub(1, 1) == "^" then self:write(note) end -- opens the group it stands in
  self:leave_group()
  if note and note:sub(1, 1) ~= "^" then self:write(note) end
end

-- What failed outside its steps.
handlers["job.end"] = function(self, event)
  local job = self.model:job(event.job)
  local message = self.model:untold(job)
  if not message then return end
  self:leave_group()
  self:line("%s   %s after %s: %s", self:prefix(event.job), MARK.failed,
    clock.duration(event.seconds), self:shown(message))
  local note = self.ci
    and self.ci.failure(event.where or job.where,
    ("%s: %s"):format(job.name, term.printable(message)))
  if note then self:write(note) end
end

handlers["warning"] = function(self, event)
  self:line("%s   warning: %s", self:prefix(event.job or "run"), self:shown(event.message))
  local note = self.ci and self.ci.warning(term.printable(event.message))
  if note then self:write(note) end
end

handlers["run.end"] = function(self, event)
  self:leave_group()
  if self.ci then self.ci = nil end
  self:line("\n== summary of run %d", event.number)
  local width = 0
  for _, job in ipairs(self.model.order) do width = math.max(width, #job.name) end
  for _, job in ipairs(self.model.order) do
    self:line("   %-" .. width .. "s  %-11s  %s", job.name, MARK[job.state] or job.state,
      job.state ~= "not_run" and job.seconds and clock.duration(job.seconds) or "")
  end
  for _, each in ipairs(self.model.artifacts) do
    self:line("   %s %s%s", self:shown(each.kind), self:shown(each.name),
      each.digest and "\n      " .. self:shown(each.digest) or "")
  end
  self:line("   run %d: %s in %s", event.number, MARK[event.status], clock.duration(event.seconds))
  if event.resumable then self:line("   go on with: orch resume %d", event.number) end
end

function Plain:receive(event)
  self.model:take(event)
  if handlers[event.type] then handlers[event.type](self, event) end
end

-- --- silence -------------------------------------------------------------------------------------

-- What still runs or waits, and for how long.
local function running(known, now)
  local words, named = {}, {}
  local function add(text, started)
    words[#words + 1] = ("%s (%s)"):format(term.fit(term.printable(text), 60),
      clock.running(now - started))
  end
  for _, step in ipairs(known.running) do
    if not step.own and not step.group then
      add(step.title, step.started)
      named[step.job] = true
    end
  end
  for _, job in ipairs(known.order) do
    if job.state == "running" and not named[job.name] then add("job " .. job.name, job.started) end
    if job.state == "waiting" and job.note then
      add(("job %s %s"):format(job.name, job.note), job.waiting or now)
    end
  end
  for i = STILL_MAX + 1, #words do words[i] = nil end
  return words
end

--- Breaks a long silence; the seconds until it wants to be called again.
function Plain:tick()
  local now = task.clock()
  if now - self.last >= SILENCE_MAX then
    local words = running(self.model, now)
    if #words > 0 then
      self:line("   ... still running: %s", table.concat(words, ", "))
    else self.last = now end
  end
  return LOOK_SECONDS
end

--- The run has been cancelled and is ending.
function Plain:interrupted(reason)
  self:leave_group()
  self:line("   %s; ending what runs (Ctrl-C again kills at once)", self:shown(reason))
end

function Plain:finish() end

--- A reporter that prints lines.
---@param out { write: fun(self, ...) }
---@param how { why?: boolean, env?: fun(name: string): string? } why: tells of each step why a resumed run does it
local function new(out, how)
  local env = how.env or os.getenv
  local service, no_color = ci.dialect(env), env "NO_COLOR"
  return setmetatable({ out = out, why = how.why, ci = service, model = model.new(),
    last = task.clock(),
    colours = service ~= nil and (no_color == nil or no_color == "") }, Plain)
end

return { new = new }
