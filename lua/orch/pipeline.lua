-- A pipeline: jobs and what they need, checked before anything runs.
local job = require "orch.job"
local nearest = require "orch.nearest"
local options = require "orch.options"

local Pipeline = {}
Pipeline.__index = Pipeline

local function is(value) return getmetatable(value) == Pipeline end

local function add(self, definition)
  if not job.is_definition(definition) then
    options.usage("orch.pipeline: expected jobs made by orch.job, got %s", type(definition))
  end
  local other = self.by_lower_name[definition.name:lower()]
  if other then
    options.usage("orch.pipeline: two jobs are named '%s' (%s and %s)", definition.name, other.where,
      definition.where)
  end
  self.by_lower_name[definition.name:lower()] = definition
  self.by_name[definition.name] = definition
  self.names[#self.names + 1] = definition.name
end

-- Depth first; the path so far tells a cycle.
local function visit(self, name, order, state, path)
  if state[name] == "done" then return end
  path[#path + 1] = name
  if state[name] == "open" then
    options.usage("orch.pipeline: jobs need each other in a circle: %s", table.concat(path, " -> "))
  end
  state[name] = "open"
  for _, needed in ipairs(self.by_name[name].needs) do
    if not self.by_name[needed] then
      options.usage("orch.pipeline: job '%s' (%s) needs '%s', which is no job of the pipeline%s", name,
        self.by_name[name].where, tostring(needed), nearest.hint(tostring(needed), self.names))
    end
    visit(self, needed, order, state, path)
  end
  path[#path] = nil
  state[name] = "done"
  order[#order + 1] = name
end

--- Jobs in the list part; params = { name = type } declares what `name=value` may be given.
---@param description table
local function define(description)
  local self = setmetatable({ by_name = {}, by_lower_name = {}, names = {} }, Pipeline)
  for key, value in pairs(description) do
    if math.type(key) ~= "integer" and key ~= "params" then
      options.usage("orch.pipeline: unknown option '%s' (known: params)", tostring(key))
    end
    if key == "params" then self.params = options.schema(value) end
  end
  self.params = self.params or options.schema {}
  for _, definition in ipairs(description) do add(self, definition) end
  if #self.names == 0 then options.usage("orch.pipeline: no jobs") end
  self:order()
  return self
end

--- Names in an order in which each comes after what it needs; only the named jobs and their needs when
--- a list is given.
---@param wanted? string[]
---@return string[]
function Pipeline:order(wanted)
  local order, state = {}, {}
  for _, name in ipairs(wanted or self.names) do
    if not self.by_name[name] then
      options.usage("there is no job '%s'%s", name, nearest.hint(name, self.names))
    end
    visit(self, name, order, state, {})
  end
  return order
end

--- All that a job needs, directly or through others, as a set.
function Pipeline:upstream(name)
  local set = {}
  for _, each in ipairs(self:order { name }) do
    if each ~= name then set[each] = true end
  end
  return set
end

return { define = define, is = is }
