-- orch graph RECIPE [--dot | --json]: which job needs which
local args = require "orch.cli.args"
local json = require "orch.json"
local options = require "orch.options"
local recipe = require "orch.recipe"

local SPEC <const> = { command = "graph", positional = { "recipe" }, flags = { dot = "boolean", json = "boolean" } }

local function states_of(need)
  local states = {}
  for state in pairs(need.states) do states[#states + 1] = state end
  table.sort(states)
  return states
end

local function on(need)
  local text = table.concat(states_of(need), "|")
  return text == "success" and "" or text
end

local function print_json(pipeline)
  local jobs = json.array {}
  for i, name in ipairs(pipeline:order()) do
    local needs = json.array {}
    for k, need in ipairs(pipeline.by_name[name].resolved_needs) do
      needs[k] = { name = need.name, on = json.array(states_of(need)) }
    end
    jobs[i] = { name = name, needs = needs }
  end
  print(json.encode({ jobs = jobs }, { pretty = true }))
end

local function print_dot(pipeline)
  print("digraph pipeline {\n  rankdir = LR;\n  node [shape = box];")
  for _, name in ipairs(pipeline:order()) do
    print(("  %q;"):format(name))
    for _, need in ipairs(pipeline.by_name[name].resolved_needs) do
      local label = on(need)
      print(("  %q -> %q%s;"):format(need.name, name, label ~= "" and (" [label = %q]"):format(label) or ""))
    end
  end
  print("}")
end

-- Jobs in columns by how many must come before them; what stands in one column may run side by side.
local function print_levels(pipeline)
  local level, rows = {}, {}
  for _, name in ipairs(pipeline:order()) do
    level[name] = 1
    for _, need in ipairs(pipeline.by_name[name].resolved_needs) do
      level[name] = math.max(level[name], level[need.name] + 1)
    end
    rows[level[name]] = rows[level[name]] or {}
    table.insert(rows[level[name]], name)
  end
  for i, names in ipairs(rows) do
    for _, name in ipairs(names) do
      local needs = {}
      for k, need in ipairs(pipeline.by_name[name].resolved_needs) do
        needs[k] = need.name .. (on(need) ~= "" and " (" .. on(need) .. ")" or "")
      end
      print(("%s%s%s"):format(("   "):rep(i - 1) .. (i > 1 and "└─ " or ""), name,
        #needs > 0 and "  after " .. table.concat(needs, ", ") or ""))
    end
  end
end

local function main(given)
  local parsed = args.parse(SPEC, given)
  if not parsed.recipe then options.usage("orch graph: which recipe? (orch graph RECIPE)") end
  local pipeline = recipe.load(parsed.recipe).pipeline
  if parsed.json then print_json(pipeline) elseif parsed.dot then print_dot(pipeline) else print_levels(pipeline) end
  return 0
end

return { main = main }
