-- orch plan RECIPE [--json] [--diff OLD] [NAME=VALUE]…: what a run would do
local args = require "orch.cli.args"
local differ = require "orch.diff"
local error_value = require "orch.error"
local json = require "orch.json"
local plan = require "orch.plan"
local project = require "orch.project"
local recipe = require "orch.recipe"
local say = require "orch.cli.say"

local SPEC <const> = { command = "plan", positional = { "recipe" }, pairs = true,
  flags = { json = "boolean", diff = "string", job = "list", params = "string",
    project = "string" } }

-- A plan that ends at a mistake is no good one; at what only a run can tell, it is.
local function code_of(made)
  for _, job in ipairs(made.jobs) do
    if job.ends and not job.ends.decided then return error_value.exit_code(job.ends.kind) end
  end
  return 0
end

local function main(given)
  local parsed = args.parse(SPEC, given)
  args.recipe_of(parsed, "plan")
  local made = plan.plan(recipe.load(parsed.recipe),
    { params = parsed.pairs, params_file = parsed.params,
    jobs = parsed.job, project = project.find(parsed.project) })
  if parsed.diff then
    local lines = differ.lines(plan.text(plan.read(parsed.diff)), plan.text(made))
    if parsed.json then print(json.encode(json.array(lines), { pretty = true })) end
    for _, line in ipairs(parsed.json and {} or lines) do say(line) end
    return 0
  end
  if parsed.json then print(json.encode(made, { pretty = true })) else
    say(table.concat(plan.text(made), "\n"))
  end
  return code_of(made)
end

return { main = main, spec = SPEC }
