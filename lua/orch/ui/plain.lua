-- The plain reporter: headings, output, a summary; for logs and pipes and people alike.
local clock = require "orch.ui.clock"

local Plain = {}
Plain.__index = Plain

local MARK <const> = { success = "ok", failed = "FAILED", cancelled = "cancelled", not_run = "not run", hold = "on hold" }

-- Bytes that would move the cursor, ring or recolour are shown, not obeyed; tabs stay.
local function printable(text)
  return (text:gsub("[%c\127]", function(c)
    return c == "\t" and c or ("\\x%02x"):format(c:byte())
  end))
end

local handlers = {}

handlers["run.start"] = function(self, event)
  self:line("%s %d of %s", event.resumed and "resuming run" or "run", event.number, event.recipe)
end

handlers["run.changed"] = function(self, event) self:line("note: %s", event.message) end

handlers["job.recorded"] = function(self, event)
  self:line("\n== %s  (done before)", event.job)
end

handlers["job.waiting"] = function(self, event)
  self:line("\n== %s waits for its turn in '%s'", event.job, event.serial)
end

handlers["job.retry"] = function(self, event)
  self:line("   %s: attempt %d in %s, because: %s", event.job, event.attempt, clock.duration(event.delay),
    printable(event.reason))
end

handlers["step.recorded"] = function(self, event)
  if event.depth > 0 and not self.groups[event.parent] then return end
  self:line("%s-- %s  (done before)", ("  "):rep(event.depth), printable(event.title))
end

handlers["step.reason"] = function(self, event)
  if self.why and self.shown[event.id] then self:line("   done because %s", event.reason) end
end

handlers["job.start"] = function(self, event)
  self.job_started = self.job_started or {}
  self.job_started[event.job] = event.clock
  self:line("\n== %s", event.job)
end

handlers["step.start"] = function(self, event)
  self.depth[event.id] = event.depth
  self.titles[event.id] = event.title
  if event.depth > 0 and not self.groups[event.parent] then return end -- part of a verb's own work
  if event.group then self.groups[event.id] = true end
  self.shown[event.id] = true
  self:line("%s-- %s  [%s]", ("  "):rep(event.depth), printable(event.title), clock.duration(event.clock - self.job_started[event.job]))
end

handlers["step.output"] = function(self, event)
  self:line("   %s", printable(event.line))
end

handlers["job.log"] = function(self, event)
  self:line("   %s", printable(event.line))
end

handlers["step.end"] = function(self, event)
  if not self.shown[event.id] or event.status == "success" then return end
  self:line("   %s after %s", MARK[event.status], clock.duration(event.seconds))
end

handlers["job.end"] = function(self, event)
  self.jobs[#self.jobs + 1] = event
end

handlers["artifact"] = function(self, event)
  self.artifacts[#self.artifacts + 1] = event
end

handlers["run.end"] = function(self, event)
  self:line("\n== summary of run %d", event.number)
  local width = 0
  for _, each in ipairs(self.jobs) do width = math.max(width, #each.job) end
  for _, each in ipairs(self.jobs) do
    self:line("   %-" .. width .. "s  %-9s  %s", each.job, MARK[each.status], clock.duration(each.seconds))
  end
  for _, each in ipairs(self.artifacts) do
    self:line("   %s %s%s", each.kind, each.name, each.digest and "\n      " .. each.digest or "")
  end
  self:line("   run %d: %s in %s", event.number, MARK[event.status], clock.duration(event.seconds))
  if event.resumable then self:line("   go on with: orch resume %d", event.number) end
end

function Plain:line(format, ...) self.out:write(format:format(...), "\n") end

--- A receiver of events that prints them.
---@param out { write: fun(self, ...: string) }
---@param how? { why?: boolean } why: tells of each step why a resumed run does it
local function new(out, how)
  local self = setmetatable({ out = out, why = how and how.why, depth = {}, titles = {}, groups = {}, shown = {}, jobs = {},
    artifacts = {} }, Plain)
  return function(event)
    local handle = handlers[event.type]
    if handle then handle(self, event) end
  end
end

return { new = new }
