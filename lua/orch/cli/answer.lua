-- orch answer RUN NAME VALUE
local answers = require "orch.answers"
local args = require "orch.cli.args"
local options = require "orch.options"
local project = require "orch.project"
local state = require "orch.state"

local SPEC <const> = { command = "answer", positional = { "run", "id", "value" }, flags = { project = "string" } }

local function main(given)
  local parsed = args.parse(SPEC, given)
  if not parsed.value then options.usage("orch answer: orch answer RUN NAME VALUE") end
  local opened = state.open(project.find(parsed.project))
  local row = opened:run(args.run_number("answer", parsed.run))
  answers.note(opened, row.number, parsed.id, parsed.value)
  if opened:state_of(row) ~= "live" then print(("noted; go on with: orch resume %d"):format(row.number)) end
  opened:close()
  return 0
end

return { main = main }
