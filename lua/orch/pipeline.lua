-- A pipeline: jobs and what they need, checked before anything runs.
local error_value = require "orch.error"
local job = require "orch.job"
local matrix = require "orch.matrix"
local nearest = require "orch.nearest"
local options = require "orch.options"

local Pipeline = {}
Pipeline.__index = Pipeline

local function is(value) return getmetatable(value) == Pipeline end

local head = options.schema {
  params = { "table", default = {} },
  resources = { "table", default = {} }, -- { name = slots }, 1 where nothing is said
}

local JOBS_MAX <const> = 100000 -- of a pipeline: jobs may add jobs, and might never end

local function check_count(self, definition)
  if #self.names < JOBS_MAX then return end
  error(error_value.new { kind = "limit",
    message = ("orch.pipeline: a pipeline has at most %d jobs, '%s' (%s) would be one more"):format(
      JOBS_MAX, definition.name, definition.where),
    hint = "do its jobs add jobs without an end?" }, 0)
end

local function add_instance(self, definition)
  check_count(self, definition)
  local other = self.by_lower_name[definition.name:lower()]
  if other then
    options.usage("orch.pipeline: two jobs are named '%s' (%s and %s)%s", other.name, other.where,
      definition.where,
      other.name ~= definition.name and (": '%s' differs only in case"):format(definition.name)
      or "")
  end
  self.by_lower_name[definition.name:lower()] = definition
  self.by_name[definition.name] = definition
  self.names[#self.names + 1] = definition.name
end

-- A need on a matrix is a need on each of its instances.
local function resolve_needs(self, definition)
  local resolved = {}
  for _, need in ipairs(definition.needs) do
    local instances = self.instances[need.name] or { need.name }
    for _, name in ipairs(instances) do
      resolved[#resolved + 1] = { name = name, states = need.states }
    end
    if not self.instances[need.name] and not self.by_name[need.name] then
      options.usage("orch.pipeline: job '%s' (%s) needs '%s', which is no job of the pipeline%s",
        definition.name,
        definition.where, need.name, nearest.hint(need.name, self.names))
    end
  end
  definition.resolved_needs = resolved
end

local CIRCLE_MAX <const> = 20 -- names of one that are told

local function refuse_circle(path, name)
  local circle, from = {}, 1
  while path[from] ~= name do from = from + 1 end
  table.move(path, from, #path, 1, circle)
  circle[#circle + 1] = name
  if #circle > CIRCLE_MAX then
    circle =
      { ("%s -> … %d more … -> %s"):format(table.concat(circle, " -> ", 1, CIRCLE_MAX),
      #circle - CIRCLE_MAX - 1, name) }
  end
  options.usage("orch.pipeline: jobs need each other in a circle: %s", table.concat(circle, " -> "))
end

-- Depth first, without recursion: a chain may be longer than a stack. The path so far tells a
-- circle.
local function visit(self, start, order, state)
  if state[start] then return end
  if #self.by_name[start].resolved_needs == 0 then
    state[start], order[#order + 1] = "done", start
    return
  end
  local path, seen, depth = { start }, { 0 }, 1
  state[start] = "open"
  while depth > 0 do
    local name = path[depth]
    seen[depth] = seen[depth] + 1
    local need = self.by_name[name].resolved_needs[seen[depth]]
    if not need then
      state[name], order[#order + 1] = "done", name
      path[depth], depth = nil, depth - 1
    elseif state[need.name] == "open" then
      refuse_circle(path, need.name)
    elseif not state[need.name] then
      depth = depth + 1
      path[depth], seen[depth], state[need.name] = need.name, 0, "open"
    end
  end
end

-- How many slots there are of a resource.
function Pipeline:capacity(name) return self.resources[name] or 1 end

local function check_resources(self, definition)
  for name, count in pairs(definition.resources) do
    if count > self:capacity(name) then
      options.usage("orch.pipeline: job '%s' (%s) takes %d slots of '%s', which has %d",
        definition.name, definition.where,
        count, name, self:capacity(name))
    end
  end
end

-- Takes out what was added in vain: all names after the first so many.
local function forget(self, count, definitions)
  for i = #self.names, count + 1, -1 do
    local name = self.names[i]
    self.by_name[name], self.by_lower_name[name:lower()], self.names[i] = nil, nil, nil
  end
  for _, each in ipairs(definitions) do self.instances[each.name] = nil end
end

--- Adds a job, before or while the pipeline runs; returns the names of its instances.
---@param definition orch.Definition
---@return string[]
function Pipeline:add(definition)
  if not job.is_definition(definition) then
    options.usage("orch.pipeline: expected jobs, each made by orch.job { name = …, run = … }, got %s", type(definition))
  end
  local names = {}
  for _, instance in ipairs(matrix.expand(definition)) do
    add_instance(self, instance)
    names[#names + 1] = instance.name
  end
  if definition.matrix then self.instances[definition.name] = names end
  return names
end

--- Resolves the needs of these jobs and looks for circles.
---@param names string[]
---@return string[] names each after what it needs
function Pipeline:connect(names)
  for _, name in ipairs(names) do
    resolve_needs(self, self.by_name[name])
    check_resources(self, self.by_name[name])
  end
  -- What was connected before needs none of these.
  local order, state = {}, setmetatable({}, { __index = self.connected })
  for _, name in ipairs(names) do visit(self, name, order, state) end
  for _, name in ipairs(names) do self.connected[name] = "done" end
  return order
end

--- Adds jobs while the pipeline runs: all of them or, when one cannot be, none.
---@param definitions orch.Definition[]
---@return string[] names of their instances, each after what it needs
function Pipeline:grow(definitions)
  local names, count = {}, #self.names
  local good, order = pcall(function()
    for _, definition in ipairs(definitions) do
      for _, name in ipairs(self:add(definition)) do names[#names + 1] = name end
    end
    return self:connect(names)
  end)
  if good then return order end
  forget(self, count, definitions)
  error(order, 0)
end

--- Jobs in the list part; params = { name = type } declares what `name=value` may be given.
---@param description table
local function define(description)
  local given = {}
  for key, value in pairs(description) do
    if math.type(key) ~= "integer" then given[key] = value end
  end
  if given.jobs then
    options.usage("orch.pipeline: jobs stand in the list itself: orch.pipeline { build, test, params = … }")
  end
  local checked = head:check("orch.pipeline", given)
  local self =
    setmetatable({ by_name = {}, by_lower_name = {}, names = {}, instances = {}, connected = {},
    params = options.schema(checked.params), resources = checked.resources }, Pipeline)
  for name in pairs(checked.params) do
    if type(name) ~= "string" or not name:find("^[%a_][%w_-]*$") then
      options.usage("orch.pipeline: parameter '%s' must be letters, digits and _ -, as it is given as NAME=VALUE", tostring(name))
    end
  end
  for name, slots in pairs(self.resources) do
    if type(name) ~= "string" or math.type(slots) ~= "integer" or slots < 1 then
      options.usage("orch.pipeline: resources must be name = slots (1 or more)")
    end
  end
  for _, definition in ipairs(description) do self:add(definition) end
  if #self.names == 0 then options.usage("orch.pipeline: no jobs") end
  self:connect(self.names)
  return self
end

--- Names in an order in which each comes after what it needs; only the named jobs and their needs
--- when a list is given.
---@param wanted? string[]
---@return string[]
function Pipeline:order(wanted)
  local order, state = {}, {}
  for _, name in ipairs(wanted or self.names) do
    for _, each in ipairs(self.instances[name] or { name }) do
      if not self.by_name[each] then
        options.usage("there is no job '%s'%s", each, nearest.hint(each, self.names))
      end
      visit(self, each, order, state)
    end
  end
  return order
end

--- The names of the jobs that a job needs directly.
---@return string[]
function Pipeline:needs(name)
  local names = {}
  for i, need in ipairs(self.by_name[name].resolved_needs) do names[i] = need.name end
  return names
end

--- All that a job needs, directly or through others.
---@return table<string, true> set, string[] order each after what it needs
function Pipeline:upstream(name)
  local set, order = {}, self:order { name }
  order[#order] = nil
  for _, each in ipairs(order) do set[each] = true end
  return set, order
end

return { define = define, is = is }
