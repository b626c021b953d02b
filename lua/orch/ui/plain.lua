-- The plain reporter: headings, output, a summary; for logs and pipes and people alike.
local Plain = {}
Plain.__index = Plain

local MARK <const> = { success = "ok", failed = "FAILED", cancelled = "cancelled" }

local function duration(seconds)
  if seconds < 0.0095 then return ("%.1f ms"):format(seconds * 1000) end
  if seconds < 1 then return ("%.0f ms"):format(seconds * 1000) end
  if seconds < 60 then return ("%.1f s"):format(seconds) end
  return ("%d min %02.0f s"):format(seconds // 60, seconds % 60)
end

-- Bytes that would move the cursor, ring or recolour are shown, not obeyed; tabs stay.
local function printable(text)
  return (text:gsub("[%c\127]", function(c)
    return c == "\t" and c or ("\\x%02x"):format(c:byte())
  end))
end

local handlers = {}

handlers["run.start"] = function(self, event)
  self:line("run %d of %s", event.number, event.recipe)
end

handlers["job.start"] = function(self, event)
  self.job_started = event.clock
  self:line("\n== %s", event.job)
end

handlers["step.start"] = function(self, event)
  self.depth[event.id] = event.depth
  self.titles[event.id] = event.title
  if event.depth > 0 and not self.groups[event.parent] then return end -- part of a verb's own work
  if event.group then self.groups[event.id] = true end
  self.shown[event.id] = true
  self:line("%s-- %s  [%s]", ("  "):rep(event.depth), event.title, duration(event.clock - self.job_started))
end

handlers["step.output"] = function(self, event)
  self:line("   %s", printable(event.line))
end

handlers["job.log"] = function(self, event)
  self:line("   %s", printable(event.line))
end

handlers["step.end"] = function(self, event)
  if not self.shown[event.id] or event.status == "success" then return end
  self:line("   %s after %s", MARK[event.status], duration(event.seconds))
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
    self:line("   %-" .. width .. "s  %-9s  %s", each.job, MARK[each.status], duration(each.seconds))
  end
  for _, each in ipairs(self.artifacts) do
    self:line("   %s %s%s", each.kind, each.name, each.digest and "\n      " .. each.digest or "")
  end
  self:line("   run %d: %s in %s", event.number, MARK[event.status], duration(event.seconds))
end

function Plain:line(format, ...) self.out:write(format:format(...), "\n") end

--- A receiver of events that prints to a file.
---@param out file*
local function new(out)
  local self = setmetatable({ out = out, depth = {}, titles = {}, groups = {}, shown = {}, jobs = {},
    artifacts = {} }, Plain)
  return function(event)
    local handle = handlers[event.type]
    if handle then
      handle(self, event)
      out:flush()
    end
  end
end

return { new = new }
