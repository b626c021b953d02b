-- Which job may start: counts what each still waits for, so that the cost of a job does not grow
-- with their number.
local Graph = {}
Graph.__index = Graph

local function node_of(self, definition)
  return { name = definition.name, definition = definition, state = "waiting",
    waiting = #definition.resolved_needs,
    dependents = {}, order = #self.names + 1 }
end

-- One need of a job that waits has ended; false when with that it can no longer run.
local function settle_need(self, node, states, state)
  if node.state ~= "waiting" then return true end
  if not states[state] then return false end
  node.waiting = node.waiting - 1
  if node.waiting == 0 then self:make_ready(node) end
  return true
end

function Graph:make_ready(node)
  node.state = "ready"
  self.last = self.last + 1
  self.queue[self.last] = node
end

local function wants_failure(node)
  for _, need in ipairs(node.definition.resolved_needs) do
    if need.states.failed or need.states.cancelled or need.states.not_run then return true end
  end
  return false
end

-- After stop, only what asks for a failure begins.
local function drop_unless_wanted(self, node)
  if not wants_failure(node) then self:finish(node.name, "not_run") end
end

--- An empty graph. finished(name, state): called for each job that ends without having been
--- started.
local function new(finished)
  return setmetatable({ nodes = {}, names = {}, queue = {}, first = 1, last = 0, unfinished = 0,
    finished = finished },
    Graph)
end

--- Adds jobs whose needs are among them or already there.
---@param definitions orch.Definition[] each after what it needs
function Graph:add(definitions)
  for _, definition in ipairs(definitions) do
    local node = node_of(self, definition)
    self.nodes[definition.name] = node
    self.names[#self.names + 1] = definition.name
    self.unfinished = self.unfinished + 1
    local pending = {}
    for _, need in ipairs(definition.resolved_needs) do
      local needed = self.nodes[need.name]
      if needed and needed.ended then
        pending[#pending + 1] = { need.states, needed.state }
      elseif needed then
        needed.dependents[#needed.dependents + 1] = { node = node, states = need.states }
      else -- not part of this run: taken as done
        pending[#pending + 1] = { { success = true }, "success" }
      end
    end
    for _, each in ipairs(pending) do
      if not settle_need(self, node, each[1], each[2]) then self:finish(node.name, "not_run") end
    end
    if #definition.resolved_needs == 0 then self:make_ready(node) end
    if self.stopped and not node.ended then drop_unless_wanted(self, node) end
  end
end

--- The next job that may start, or nil.
---@return table? node { name, definition }
function Graph:take()
  while self.first <= self.last do
    local node = self.queue[self.first]
    self.queue[self.first] = nil
    self.first = self.first + 1
    if node.state == "ready" then
      node.state = "running"
      return node
    end
  end
end

--- Puts a job that could not start when it was taken back, before all others.
function Graph:put_back(node)
  node.state = "ready"
  self.first = self.first - 1
  self.queue[self.first] = node
  if self.stopped then drop_unless_wanted(self, node) end
end

--- The end of a job: lets others start, or not.
---@param name string
---@param state "success"|"failed"|"cancelled"|"not_run"
function Graph:finish(name, state)
  local ending, at = { self.nodes[name] }, 1 -- and what is not run because of it, and so on down
  while ending[at] do
    local node = ending[at]
    if not node.ended then
      local was = node.state
      node.state, node.ended = state, true
      self.unfinished = self.unfinished - 1
      if was ~= "running" and self.finished then self.finished(node.name, state) end
      for _, each in ipairs(node.dependents) do
        if not settle_need(self, each.node, each.states, state) then
          ending[#ending + 1] = each.node
        end
      end
      node.dependents = {}
    end
    at, state = at + 1, "not_run"
  end
end

--- After a failure: what has not begun and does not ask for a failure is not run.
function Graph:stop()
  if self.stopped then return end
  self.stopped = true
  for _, name in ipairs(self.names) do
    local node = self.nodes[name]
    if node.state == "waiting" or node.state == "ready" then drop_unless_wanted(self, node) end
  end
end

return { new = new }
