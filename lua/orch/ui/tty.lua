-- The reporter for people at a terminal: one line for each step that has ended, all output of one
-- that failed, and below them a live picture of what runs.
local clock = require "orch.ui.clock"
local model = require "orch.ui.model"
local screen = require "orch.ui.screen"
local style = require "orch.ui.style"
local task = require "orch.task"
local term = require "orch.term"
local tree = require "orch.ui.tree"

local FRAME_SECONDS <const> = 0.1
local LINES_MAX <const> = 1000 -- of a failed step; the log has the rest
local LABEL_MAX <const> = 24

local Tty = {}
Tty.__index = Tty

local shown <const>, printed <const> = tree.shown, tree.printed

function Tty:line(text) self.screen:line(text) end

-- The column of job names, when there are several jobs; and how wide it is.
function Tty:label(name)
  if #self.model.order < 2 then return "", 0 end
  local width = math.min(self.model.widest, LABEL_MAX, self.screen:size() // 4)
  local text, used = self.tree.name(name, width)
  return self.style:paint("dim", text .. (" "):rep(width - used + 2)), width + 2
end

-- "group › step"; where there is no room, the groups give way.
function Tty:path(step)
  local titles, into = self.model.titles(step), self.style.signs.into
  local columns = math.min(self.screen:size(), tree.WIDTH_MAX)
  local room = columns - (select(2, self:label(step.job))) - 14
  local text = shown(table.concat(titles, into))
  while #titles > 1 and select(2, term.fit(text, #text + 1)) > room do
    table.remove(titles, 1)
    text = shown(self.style.signs.dots .. into .. table.concat(titles, into))
  end
  return text
end

--- "✓ job  group › step            1.2 s"
function Tty:ended(state, name, text, seconds)
  local columns = self.screen:size()
  local label, width = self:label(name)
  local left, right = tree.line(columns, (" "):rep(2 + width), text,
    seconds and clock.duration(seconds) or "")
  self:line(("%s %s%s%s"):format(self.style:mark(state), label, left:sub(3 + width),
    self.style:paint("dim", right)))
end

-- Calls f with each of the last LINES_MAX lines of a log, and before that tells how many there were
-- before them.
local function each_line(path, f)
  local file = io.open(path, "rb")
  if not file then return end
  local ring, count = {}, 0
  for text in file:lines() do
    count = count + 1
    ring[(count - 1) % LINES_MAX + 1] = text
  end
  file:close()
  local first = math.max(1, count - LINES_MAX + 1)
  for i = first, count do f(ring[(i - 1) % LINES_MAX + 1], i == first and first - 1 or 0) end
end

-- What a failed step printed. Its colours stay: term.printable lets nothing through but colour and
-- weight.
function Tty:output(step)
  local gutter = "  " .. self.style:paint("red", self.style.signs.gutter) .. " "
  each_line(("%s/%s"):format(self.model.run.dir, step.log), function(text, before)
    if before > 0 then
      self:line(gutter
        .. self.style:paint("dim", ("%d lines before these: orch logs %d %s"):format(before,
        self.model.run.number, step.job)))
    end
    self:line(gutter .. printed(text, self.style.colours))
  end)
end

local handlers = {}

handlers["run.start"] = function(self, event)
  self:line(self.style:paint("dim",
    ("%s %d%s%s"):format(event.resumed and "resuming run" or "run", event.number,
    self.style.signs.between, shown(event.recipe))))
  self.screen:parting(("killed; go on with: orch resume %d\n"):format(event.number))
  self:flush()
end

handlers["run.changed"] = function(self, event)
  self:line("  note: " .. shown(event.message))
  for _, each in ipairs(self.why and event.diff or {}) do
    self:line(self.style:paint("dim", "    " .. shown(each)))
  end
end

handlers["job.recorded"] = function(self, event)
  self:ended("recorded", event.job, "done before")
end

handlers["job.retry"] = function(self, event)
  self:line(self.style:paint("yellow",
    ("  %s: attempt %d in %s, because: %s"):format(event.job, event.attempt,
    clock.duration(event.delay), shown(event.reason))))
end

handlers["run.log"] = function(self, event) self:line("  " .. printed(event.line)) end

handlers["job.log"] = function(self, event)
  self:line("  " .. self:label(event.job) .. printed(event.line))
end

handlers["step.reason"] = function(self, event)
  local step = self.model.steps[event.id]
  if self.why and step and not step.own then
    self:line(self.style:paint("dim",
      ("  %s: done because %s"):format(shown(step.title), shown(event.reason))))
  end
end

-- While a person is asked there is no picture, so that what is typed can be seen.
handlers["ask"] = function(self, event)
  local hint = event.choices and ("  (%s)"):format(shown(event.choices)) or ""
  if event.problem then self:line("  " .. self.style:paint("yellow", shown(event.problem))) end
  self:line(("%s %s%s%s"):format(self.style:paint("yellow", "?"), self:label(event.job),
    self.style:paint("bold", (event.question:gsub("[^\n]+", shown):gsub("\n", "\n    "))), hint))
  self.asked[event.step or event.id] = true
end

handlers["step.end"] = function(self, event)
  local step = self.model.steps[event.id]
  if not step then return end
  self.asked[event.id] = nil
  local path = self:path(step)
  if event.status == "success" then
    if not step.own and not step.group then self:ended("success", step.job, path, event.seconds) end
    return
  end
  -- The innermost step says it; those around it fail for the same reason.
  if step.told == event.message then return end
  local around = step.parent
  while around do around.told, around = event.message, around.parent end
  self:ended(event.status, step.job, path, event.seconds)
  if event.status ~= "failed" then return end
  if event.log then self:output(step) end
  if event.message then
    self:line("  " .. self.style:paint("red", shown(self.model.reason(step))))
  end
end

-- What failed outside its steps.
handlers["job.end"] = function(self, event)
  local message = self.model:untold(self.model:job(event.job))
  if not message then return end
  self:ended("failed", event.job, #self.model.order > 1 and "" or shown(event.job), event.seconds)
  self:line("  " .. self.style:paint("red", shown(message)))
end

handlers["warning"] = function(self, event)
  self:line(self.style:paint("yellow", "! ") .. self:label(event.job)
    .. self.style:paint("yellow", shown(event.message)))
end

local function summary_line(self, job, width)
  local words = job.state == "not_run" and "not run" or job.seconds and clock.duration(job.seconds)
    or ""
  if job.state == "recorded" then words = "done before" end
  local text, used = self.tree.name(job.name, width)
  self:line(("%s %s%s  %s"):format(self.style:mark(job.state), text, (" "):rep(width - used),
    self.style:paint("dim", words)))
end

handlers["run.end"] = function(self, event)
  local jobs = self.model.order
  self:line("")
  if #jobs > 1 then
    local width = math.min(self.model.widest, 48)
    for _, job in ipairs(jobs) do summary_line(self, job, width) end
  end
  for _, artifact in ipairs(self.model.artifacts) do
    self:line(("  %s %s"):format(shown(artifact.kind),
      self.style:paint("bold", shown(artifact.name))))
    if artifact.digest then self:line("    " .. self.style:paint("dim", shown(artifact.digest))) end
  end
  local words = { success = "", failed = " failed", cancelled = " cancelled", hold = " on hold" }
  local colour = { success = "green", failed = "red", cancelled = "yellow", hold = "yellow" }
  self:line(("%s %s"):format(self.style:mark(event.status), self.style:paint(colour[event.status],
    ("run %d%s %s %s"):format(event.number, words[event.status],
      event.status == "hold" and "after" or "in", clock.duration(event.seconds)))))
  if event.resumable then
    local look = event.status == "failed" and ("  or look into it: orch shell %d"):format(event.number)
    self:line(("  go on with: orch resume %d"):format(event.number) .. (look or ""))
  end
  self.over = true
end

function Tty:receive(event)
  self.model:take(event)
  if handlers[event.type] then handlers[event.type](self, event) end
end

function Tty:flush()
  local columns, rows = self.screen:size()
  self.screen:flush((self.over or next(self.asked)) and {}
    or self.tree:picture(task.clock(), columns, rows, self.stopping))
end

--- Shows what there is to show; the seconds until it wants to be called again.
function Tty:tick()
  if not self.screen:busy() then self:flush() end
  return FRAME_SECONDS
end

--- The run has been cancelled and is ending.
function Tty:interrupted()
  self.stopping = true
  self:flush()
end

function Tty:finish() self.screen:close() end

---@param out orch.Spool
---@param how { fd: integer, why?: boolean }
local function new(out, how)
  local known, look = model.new(), style.new(os.getenv)
  return setmetatable({ model = known, style = look, screen = screen.new(out, how.fd),
    tree = tree.new(known, look),
    why = how.why, asked = {} }, Tty)
end

return { new = new }
