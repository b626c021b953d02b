-- orch rerun RUN [--failed]: a new run with the recipe, parameters and options of an old one
local args = require "orch.cli.args"
local options = require "orch.options"
local project = require "orch.project"
local recipe = require "orch.recipe"
local record = require "orch.record"
local run = require "orch.run"
local state = require "orch.state"
local ui = require "orch.ui"

local SPEC <const> = {
  command = "rerun",
  positional = { "run" },
  flags = { failed = "boolean", project = "string", format = "string" },
}

-- Jobs that did not succeed; what they need comes along.
local function unsuccessful(opened, row)
  local names = {}
  for _, each in ipairs(opened:rows("SELECT name FROM jobs WHERE run = ? AND state <> 'success'", row.number)) do
    names[#names + 1] = each.name
  end
  if #names == 0 then options.usage("orch rerun: no job of run %d has failed", row.number) end
  return names
end

local function main(given)
  local parsed = args.parse(SPEC, given)
  local number = args.run_number("rerun", parsed.run)
  if not number then options.usage("orch rerun: which run? (orch rerun RUN)") end
  local here = project.find(parsed.project)
  local opened = state.open(here)
  local row = opened:run(number)
  local kept = record.decode(row.options)
  local jobs = parsed.failed and unsuccessful(opened, row) or kept.jobs
  opened:close()
  local params = {}
  for name, value in pairs(record.decode(row.params)) do params[name] = tostring(value) end
  return ui.report(parsed.format, function(reporters)
    return run.run { recipe = recipe.load(row.recipe), project = here, jobs = jobs, params = params,
      keep_going = kept.keep_going, slots = kept.slots, reporters = reporters }
  end)
end

return { main = main }
