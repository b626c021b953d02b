-- orch run RECIPE [NAME=VALUE]…
local args = require "orch.cli.args"
local options = require "orch.options"
local project = require "orch.project"
local recipe = require "orch.recipe"
local run = require "orch.run"
local ui = require "orch.ui"

local SPEC <const> = {
  command = "run",
  positional = { "recipe" },
  pairs = true,
  flags = { job = "list", project = "string", keep_going = "boolean", jobs = "integer", format = "string" },
  short = { j = "jobs", k = "keep-going" },
}

local function main(given)
  local parsed = args.parse(SPEC, given)
  if not parsed.recipe then options.usage("orch run: which recipe? (orch run RECIPE)") end
  if parsed.jobs and parsed.jobs < 1 then options.usage("orch run: --jobs takes a number of at least 1") end
  local loaded = recipe.load(parsed.recipe)
  return ui.report(parsed.format, function(reporters)
    return run.run {
      recipe = loaded,
      project = project.find(parsed.project),
      jobs = parsed.job,
      params = parsed.pairs,
      keep_going = parsed.keep_going,
      slots = parsed.jobs,
      reporters = reporters,
    }
  end)
end

return { main = main }
