-- orch run RECIPE [NAME=VALUE]…
local args = require "orch.cli.args"
local options = require "orch.options"
local params = require "orch.params"
local project = require "orch.project"
local recipe = require "orch.recipe"
local run = require "orch.run"
local say = require "orch.cli.say"
local ui = require "orch.ui"

local SPEC <const> = {
  command = "run",
  positional = { "recipe" },
  pairs = true,
  flags = { job = "list", project = "string", keep_going = "boolean", jobs = "integer", format = "string",
    params = "string", help = "boolean", answer = "list" },
  short = { j = "jobs", k = "keep-going", h = "help" },
}

local function print_help(loaded, path)
  say(("orch run %s [NAME=VALUE]..."):format(path))
  local lines = params.describe(loaded.pipeline.params)
  say(#lines > 0 and "\nparameters:\n" .. table.concat(lines, "\n") or "\nno parameters")
  print("\njobs:")
  for _, name in ipairs(loaded.pipeline:order()) do
    local needs = {}
    for i, need in ipairs(loaded.pipeline.by_name[name].resolved_needs) do needs[i] = need.name end
    say(("  %s%s"):format(name, #needs > 0 and "  after " .. table.concat(needs, ", ") or ""))
  end
  return 0
end

local function main(given)
  local parsed = args.parse(SPEC, given)
  if parsed.help and not parsed.recipe then return require "orch.cli.help".main { "run" } end
  if not parsed.recipe then options.usage("orch run: which recipe? (orch run RECIPE)") end
  if parsed.jobs and parsed.jobs < 1 then options.usage("orch run: --jobs takes a number of at least 1") end
  local loaded = recipe.load(parsed.recipe, not parsed.help)
  if parsed.help then return print_help(loaded, parsed.recipe) end
  return ui.report(parsed.format, function(reporters)
    return run.run {
      recipe = loaded,
      project = project.find(parsed.project),
      jobs = parsed.job,
      params = parsed.pairs,
      params_file = parsed.params,
      answers = args.pairs_of("run", "--answer", parsed.answer),
      keep_going = parsed.keep_going,
      slots = parsed.jobs,
      interactive = ui.interactive(parsed.format),
      reporters = reporters,
    }
  end)
end

return { main = main }
