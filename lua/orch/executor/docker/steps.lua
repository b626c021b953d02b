-- Shims that run steps, each kept for the next one: to start another by an exec takes longer than
-- most steps.
local branches = require "orch.branches"
local wire = require "orch.executor.docker.wire"

local IDLE_MAX <const> = 4
-- when that is over, something on the way has forgotten the connection
local ANSWER_SECONDS <const> = 5

local Steps = {}
Steps.__index = Steps

--- place: { connected, id } of the container; owner: the task that the shims live as long as.
local function new(place, owner)
  return setmetatable({ place = place, owner = owner, idle = {} }, Steps)
end

local function answers(link)
  return link.stream and pcall(branches.timeout, ANSWER_SECONDS, function()
    assert(link:send "p")
    assert(link:take() == "h")
  end)
end

--- A link to a shim that waits for a request.
---@return table? link, table? err
function Steps:take()
  while #self.idle > 0 do
    local link = table.remove(self.idle)
    if answers(link) then return link end
    link:close()
  end
  return wire.open_below(self.owner, self.place.connected, self.place.id, "step", "0")
end

--- Starts one ahead of its use. Whether that can be done is for the first step to find out.
function Steps:prepare()
  local link = self:take()
  if link then self:give(link) end
end

--- Gives back one that knows of its step's end; any other is to be closed.
function Steps:give(link)
  if self.closed or link.sending or #self.idle >= IDLE_MAX then return link:close() end
  table.insert(self.idle, link)
end

--- Ends those that wait, and from now on those that are given back.
function Steps:close()
  self.closed = true
  for _, link in ipairs(self.idle) do link:close() end
  self.idle = {}
end

return { new = new }
