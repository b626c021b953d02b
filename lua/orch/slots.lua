-- Slots of resources: who may take some now, and who waits for them, in the order in which they
-- came.
--
-- A release wakes as many as it can serve and no more, so that the cost of a job does not grow with
-- the number that wait.
local Slots = {}
Slots.__index = Slots

--- capacity(name) tells how many slots there are; a serial group has one.
---@param capacity fun(name: string): integer
local function new(capacity)
  return setmetatable({ capacity = capacity, taken = {}, queues = {} }, Slots)
end

-- A serial group is a resource of its own: who waits for another job of this run takes no place
-- from the rest.
local function wants(node)
  if not node.slots then
    node.slots = {}
    for name, count in pairs(node.definition.resources) do node.slots[name] = count end
    if node.definition.serial then node.slots["serial group " .. node.definition.serial] = 1 end
  end
  return node.slots
end

local function fits(self, name, count)
  local all = name:find("^serial group ") and 1 or self.capacity(name)
  return (self.taken[name] or 0) + count <= all
end

local function has_queue(self, name)
  local queue = self.queues[name]
  return queue ~= nil and queue.first <= queue.last
end

-- The first resource that it cannot have: too few are free, or others came before. served: one
-- where it is its turn.
local function lacking(self, node, served)
  for name, count in pairs(wants(node)) do
    if name ~= served and has_queue(self, name) or not fits(self, name, count) then return name end
  end
end

local function queue_up(self, name, node)
  local queue = self.queues[name] or { first = 1, last = 0 }
  self.queues[name] = queue
  queue.last = queue.last + 1
  queue[queue.last] = node
end

local function add(self, node, sign)
  for name, count in pairs(wants(node)) do
    self.taken[name] = (self.taken[name] or 0) + sign * count
  end
  node.holds = sign > 0
end

--- Takes all that the job needs, or lets it wait.
---@param node table { definition }
---@return boolean may it start?
function Slots:take(node)
  if node.holds then return true end
  local lacks = lacking(self, node)
  if lacks then
    queue_up(self, lacks, node)
    return false
  end
  add(self, node, 1)
  return true
end

local function serve(self, name, woken)
  local queue = self.queues[name]
  while queue and queue.first <= queue.last and fits(self, name, wants(queue[queue.first])[name]) do
    local node = queue[queue.first]
    queue[queue.first] = nil
    queue.first = queue.first + 1
    local lacks = lacking(self, node, name)
    if lacks then
      queue_up(self, lacks, node)
    else
      add(self, node, 1)
      woken[#woken + 1] = node
    end
  end
end

--- Gives back what the job has.
---@return table[] woken those that have theirs now
function Slots:give(node)
  local woken = {}
  if not node.holds then return woken end
  add(self, node, -1)
  for name in pairs(wants(node)) do serve(self, name, woken) end
  return woken
end

--- Takes all that wait out of their queues.
---@return table[]
function Slots:drain()
  local all = {}
  for _, queue in pairs(self.queues) do
    for i = queue.first, queue.last do all[#all + 1] = queue[i] end
  end
  self.queues = {}
  return all
end

return { new = new }
