-- orch rerun RUN [--failed] [--recipe FILE]: a new run with the recipe, parameters and options of
-- an old one
local args = require "orch.cli.args"
local error_value = require "orch.error"
local options = require "orch.options"
local project = require "orch.project"
local record = require "orch.record"
local resume = require "orch.cli.resume"
local run = require "orch.run"
local state = require "orch.state"
local ui = require "orch.ui"

local SPEC <const> = {
  command = "rerun",
  positional = { "run" },
  flags = { answer = "list", failed = "boolean", recipe = "string", project = "string",
    format = "string",
    json = "boolean" },
}

local function main(given)
  local parsed = args.parse(SPEC, given)
  local number = args.run_number("rerun", parsed.run)
  if not number then options.usage("orch rerun: which run? (orch rerun RUN)") end
  local here = project.find(parsed.project)
  local opened = state.open(here)
  local row = opened:run(number)
  if parsed.failed and row.state == "success" then
    options.usage("orch rerun: no job of run %d has failed", row.number)
  end
  if parsed.failed and opened:state_of(row) == "live" then
    error(error_value.new { kind = "conflict",
      message = ("run %d is live: what will fail is not known"):format(row.number),
      hint = ("follow it: orch logs %d --follow; or end it: orch cancel %d"):format(row.number,
        row.number) }, 0)
  end
  local kept = record.decode(row.options)
  opened:close()
  local loaded = resume.load_recipe(row, parsed.recipe, "rerun")
  return ui.report(ui.format(parsed), function(reporters)
    return run.run { recipe = loaded, project = here, jobs = kept.jobs,
      values = record.decode(row.params),
      pipeline = kept.pipeline, adopt = parsed.failed and row.number or nil,
      keep_going = kept.keep_going, slots = kept.slots,
      reporters = reporters, answers = args.pairs_of("rerun", "--answer", parsed.answer),
      interactive = ui.interactive(ui.format(parsed)) }
  end)
end

return { main = main, spec = SPEC }
