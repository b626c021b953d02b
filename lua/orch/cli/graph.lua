-- orch graph RECIPE [--dot | --json]: which job needs which
local args = require "orch.cli.args"
local json = require "orch.json"
local recipe = require "orch.recipe"
local say = require "orch.cli.say"

local STATES <const> = 4     -- in which a job may end
local DEPTH_MAX <const> = 50 -- to which the tree is drawn deeper

local SPEC <const> = { command = "graph", positional = { "recipe" },
  flags = { dot = "boolean", json = "boolean" } }

local function states_of(need)
  local states = {}
  for state in pairs(need.states) do states[#states + 1] = state end
  table.sort(states)
  return states
end

-- When, if not after a success.
local function on(need)
  local states = states_of(need)
  if #states == STATES then return "terminal" end
  return #states == 1 and states[1] == "success" and "" or table.concat(states, "|")
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
    say(("  %q;"):format(name))
    for _, need in ipairs(pipeline.by_name[name].resolved_needs) do
      local label = on(need)
      say(("  %q -> %q%s;"):format(need.name, name,
        label ~= "" and (" [label = %q]"):format(label) or ""))
    end
  end
  print("}")
end

-- The jobs below each: a job stands below the one of its needs that comes last.
local function below_each(pipeline)
  local level, below, roots = {}, {}, {}
  for _, name in ipairs(pipeline:order()) do
    local last
    for _, need in ipairs(pipeline.by_name[name].resolved_needs) do
      if not last or level[need.name] > level[last] then last = need.name end
    end
    level[name], below[name] = last and level[last] + 1 or 1, {}
    table.insert(last and below[last] or roots, name)
  end
  return roots, below
end

local function line_of(pipeline, name)
  local needs = {}
  for i, need in ipairs(pipeline.by_name[name].resolved_needs) do
    needs[i] = need.name .. (on(need) ~= "" and " (" .. on(need) .. ")" or "")
  end
  return needs[1] and ("%s  after %s"):format(name, table.concat(needs, ", ")) or name
end

local function print_tree(pipeline, names, below, indent, depth)
  for i, name in ipairs(names) do
    local last = i == #names
    say((depth > 0 and indent .. (last and "└─ " or "├─ ") or "") .. line_of(pipeline, name))
    local inner = depth > 0 and depth < DEPTH_MAX and indent .. (last and "   " or "│  ") or indent
    print_tree(pipeline, below[name], below, depth == 0 and "   " or inner, depth + 1)
  end
end

local function main(given)
  local parsed = args.parse(SPEC, given)
  args.recipe_of(parsed, "graph")
  local pipeline = recipe.load(parsed.recipe).pipeline
  if parsed.json then print_json(pipeline) elseif parsed.dot then print_dot(pipeline)
  else
    local roots, below = below_each(pipeline)
    print_tree(pipeline, roots, below, "", 0)
  end
  return 0
end

return { main = main, spec = SPEC }
