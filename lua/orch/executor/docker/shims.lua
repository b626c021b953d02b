-- Shims in the container that run programs and serve files, each kept for the next request: to
-- start another by an exec takes longer than most steps.
local branches = require "orch.branches"
local wire = require "orch.executor.docker.wire"

local IDLE_MAX <const> = 4
-- when that is over, something on the way has forgotten the connection
local ANSWER_SECONDS <const> = 5

local Shims = {}
Shims.__index = Shims

--- place: { connected, id } of the container; owner: the task that the shims live as long as;
--- user: nil for the container's.
local function new(place, owner, user)
  return setmetatable({ place = place, owner = owner, user = user, idle = {} }, Shims)
end

local function answers(link)
  return pcall(branches.timeout, ANSWER_SECONDS, function()
    assert(link:send "p")
    assert(link:take() == "h")
  end)
end

--- A link to a shim that waits for a request.
---@param sure? boolean one that was kept is asked first whether it is still there
---@return table? link, table? err
function Shims:take(sure)
  while #self.idle > 0 do
    local link = table.remove(self.idle)
    if link.stream and (not sure or answers(link)) then return link end
    link:close()
  end
  return wire.open_below(self.owner, self.place.connected, self.place.id, "serve", self.user)
end

--- Gives back one that has answered its request in full; any other is to be closed.
function Shims:give(link)
  if self.closed or link.sending or #self.idle >= IDLE_MAX then return link:close() end
  table.insert(self.idle, link)
end

--- Ends those that wait, and from now on those that are given back.
function Shims:close()
  self.closed = true
  for _, link in ipairs(self.idle) do link:close() end
  self.idle = {}
end

return { new = new }
