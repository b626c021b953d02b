-- orch check RECIPE [--json] [NAME=VALUE]…: what is wrong with a recipe, without running it
local args = require "orch.cli.args"
local error_value = require "orch.error"
local json = require "orch.json"
local lint = require "orch.lint"
local plan = require "orch.plan"
local project = require "orch.project"
local recipe = require "orch.recipe"
local say = require "orch.cli.say"

local SPEC <const> = { command = "check", positional = { "recipe" }, pairs = true,
  flags = { json = "boolean", job = "list", params = "string", project = "string" } }

local function main(given)
  local parsed = args.parse(SPEC, given)
  args.recipe_of(parsed, "check")
  local made = plan.plan(recipe.load(parsed.recipe),
    { params = parsed.pairs, params_file = parsed.params, jobs = parsed.job,
    project = project.find(parsed.project) })
  local findings = lint.check(made)
  if parsed.json then
    print(json.encode(json.array(findings), { pretty = true }))
  else
    for _, each in ipairs(findings) do
      say(("%s: %s"):format(each.where, each.message))
      if each.suggestion then say("  try: " .. each.suggestion) end
    end
    print(#findings == 0 and "nothing found"
      or ("%d finding%s"):format(#findings, #findings > 1 and "s" or ""))
  end
  return #findings > 0 and error_value.exit_code("findings") or 0
end

return { main = main, spec = SPEC }
