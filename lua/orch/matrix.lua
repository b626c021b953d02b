-- Matrices: one definition, an instance for each combination of values.
local error_value = require "orch.error"
local nearest = require "orch.nearest"
local options = require "orch.options"

local COMBINATIONS_MAX <const> = 100000

-- Parameter names in order: instance names list the values so, whatever the table's own order.
local function axes_of(definition)
  local axes = {}
  for name, values in pairs(definition.matrix) do
    if name ~= "exclude" then
      if type(name) ~= "string" then
        options.usage("orch.job: matrix of '%s': a list of values needs a name: matrix = { name = { … } }", definition.name)
      end
      if type(values) ~= "table" or #values == 0 then
        options.usage("orch.job: matrix of '%s': '%s' must be a list with at least one value",
          definition.name, name)
      end
      axes[#axes + 1] = { name = name, values = values }
    end
  end
  table.sort(axes, function(a, b) return a.name < b.name end)
  return axes
end

-- A combination that is not complete would exclude nothing, and nobody would notice.
local function check_exclude(definition, axes)
  local exclude, known = definition.matrix.exclude or {}, {}
  for _, axis in ipairs(axes) do known[#known + 1] = axis.name end
  for _, each in ipairs(type(exclude) == "table" and exclude or { false }) do
    if type(each) ~= "table" then
      options.usage("orch.job: matrix of '%s': exclude must be a list of { name = value }",
        definition.name)
    end
    for name in pairs(each) do
      if not nearest.contains(known, name) then
        options.usage("orch.job: matrix of '%s': exclude names '%s'%s", definition.name,
          tostring(name),
          nearest.hint(tostring(name), known))
      end
    end
    for _, name in ipairs(known) do
      if each[name] == nil then
        options.usage("orch.job: matrix of '%s': exclude must say which '%s'", definition.name,
          name)
      end
    end
  end
end

local function check_count(definition, axes)
  local count = 1
  for _, axis in ipairs(axes) do
    count = count * #axis.values
    if count > COMBINATIONS_MAX then
      error(error_value.new { kind = "limit",
        message = ("orch.job: matrix of '%s' has more than %d combinations"):format(definition.name,
          COMBINATIONS_MAX) }, 0)
    end
  end
end

local function excluded(exclude, values)
  for _, each in ipairs(exclude) do
    local same = true
    for name, value in pairs(values) do same = same and each[name] == value end
    if same then return true end
  end
  return false
end

local function combine(axes, at, values, visit)
  if not axes[at] then return visit(values) end
  for _, value in ipairs(axes[at].values) do
    values[axes[at].name] = value
    combine(axes, at + 1, values, visit)
  end
end

--- The instances of a definition: "name-value-value", the values by parameter name; the definition
--- itself when it has no matrix.
local function expand(definition)
  if not definition.matrix then return { definition } end
  local axes, instances = axes_of(definition), {}
  check_exclude(definition, axes)
  check_count(definition, axes)
  combine(axes, 1, {}, function(values)
    if excluded(definition.matrix.exclude or {}, values) then return end
    local name, copy = definition.name, {}
    for _, axis in ipairs(axes) do
      name = name .. "-" .. tostring(values[axis.name]):gsub("[^%w_.-]", "_")
      copy[axis.name] = values[axis.name]
    end
    instances[#instances + 1] = definition:instance(name, copy)
  end)
  if #instances == 0 then
    options.usage("orch.job: matrix of '%s' excludes all its combinations", definition.name)
  end
  return instances
end

return { expand = expand }
