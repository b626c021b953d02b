-- The daemon's account of a push or a pull: layers, progress events, what became of each layer.
local amount = require "orch.amount"
local fault = require "orch.docker.fault"
local lines = require "orch.docker.lines"
local task = require "orch.task"

local EVENT_SECONDS <const> = 0.2 -- between two events of progress
local LAYERS_MAX <const> = 50000  -- a repository with all its tags may have thousands
local NAME_MAX <const> = 256      -- bytes of a layer's or an image's name

local Transfer = {}
Transfer.__index = Transfer

-- A layer's last words.
local ENDINGS <const> = { ["Pushed"] = "pushed", ["Layer already exists"] = "there",
  ["Pull complete"] = "pulled",
  ["Already exists"] = "there" }

--- label names it in events and errors: "push HOST/NAME:TAG".
local function new(job, label)
  return setmetatable({ job = job, label = label, layers = {}, ids = {}, last = -math.huge },
    Transfer)
end

function Transfer:layer(id)
  id = id:sub(1, NAME_MAX)
  local layer = self.layers[id]
  if not layer then
    if #self.ids == LAYERS_MAX then
      error(fault.endless("docker " .. self.label, LAYERS_MAX, "layers"), 0)
    end
    layer = { id = id, current = 0, total = 0 }
    self.layers[id] = layer
    self.ids[#self.ids + 1] = id
  end
  return layer
end

-- The sum of what is known of the layers: it may be complete before the next one is heard of, and
-- the end is the end.
function Transfer:emit(ended)
  local current, total = 0, 0
  for _, id in ipairs(self.ids) do
    current, total = current + self.layers[id].current, total + self.layers[id].total
  end
  if total == 0 then return end
  self.last = task.clock()
  self.job:progress { label = self.label, current = current,
    total = (ended or current < total) and total or nil }
end

--- Takes a line that speaks of a layer; false for one that does not.
function Transfer:take(line)
  local status = line.status or ""
  if not line.id or status:find("^Pulling from") then return false end
  local layer = self:layer(line.id)
  local detail = line.progressDetail
  if detail and (detail.total or 0) > 0 and status ~= "Extracting" then
    layer.total = detail.total
    -- a push may count more than there is
    layer.current = math.min(detail.current or 0, detail.total)
    if task.clock() - self.last >= EVENT_SECONDS then self:emit() end
  end
  local origin = status:match("^Mounted from (.+)$")
  layer.from = origin and origin:sub(1, NAME_MAX) or layer.from
  layer.ending = origin and "mounted" or ENDINGS[status] or layer.ending
  if layer.ending then layer.current = layer.total end
  return true
end

--- Reads a reply to its end; other(line) gets the lines that speak of no layer. An error when the
--- daemon tells of one or the stream broke.
---@param op string
---@param name string the image's
---@return table? err
function Transfer:read(op, name, reply, other)
  local next_line = lines.reader(("%s %s"):format(op, name), reply)
  while true do
    local line, failure = next_line()
    if failure then
      -- lost, cut short, garbled
      failure.passing = failure.kind == "net" or failure.kind == "remote"
      return failure
    end
    if not line then return nil end
    if line.errorDetail or line.error then
      return fault.of(op, name,
        tostring(line.errorDetail and line.errorDetail.message or line.error))
    end
    if not self:take(line) then other(line) end
  end
end

--- Tells what became of the layers, once the transfer is over; counts by ending.
---@return table<string, integer>
function Transfer:finish()
  local counts = { all = #self.ids, pushed = 0, pulled = 0, mounted = 0, there = 0 }
  if self.last > -math.huge then self:emit(true) end
  for _, id in ipairs(self.ids) do
    local layer = self.layers[id]
    if layer.ending then
      counts[layer.ending] = counts[layer.ending] + 1
      if layer.ending == "mounted" then
        self.job:log("  layer %s  mounted from %s", id, layer.from or "elsewhere")
      elseif layer.ending ~= "there" then
        self.job:log("  layer %s  %s%s", id, layer.ending,
          layer.total > 0 and "  " .. amount.size(layer.total) or "")
      end
    end
  end
  return counts
end

return { new = new }
