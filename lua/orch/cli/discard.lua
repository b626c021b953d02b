-- orch discard RUN [--json]: gives a run up; what it kept for `orch resume` is removed, its logs
-- stay
local args = require "orch.cli.args"
local error_value = require "orch.error"
local json = require "orch.json"
local options = require "orch.options"
local project = require "orch.project"
local remains = require "orch.executor.docker.remains"
local state = require "orch.state"

local SPEC <const> = { command = "discard", positional = { "run" },
  flags = { json = "boolean", project = "string" } }

local function main(given)
  local parsed = args.parse(SPEC, given)
  local number = args.run_number("discard", parsed.run)
  if not number then options.usage("orch discard: which run? (orch discard RUN)") end
  local opened = state.open(project.find(parsed.project))
  local row = opened:run(number)
  local now = opened:state_of(row)
  if now == "live" or now == "success" or now == "discarded" then
    error(error_value.new { kind = "conflict",
      message = ("run %d is %s: there is nothing to give up"):format(number,
      now), hint = now == "live" and ("end it first: orch cancel %d"):format(number) or nil }, 0)
  end
  local lock = opened:hold_run(number)
  remains.remove(opened, row)
  opened:remove_jobs(number)
  opened:rows("UPDATE runs SET state = 'discarded' WHERE number = ?", number)
  lock:release()
  opened:close()
  print(parsed.json and json.encode { run = number, was = now }
    or ("discarded run %d (%s)"):format(number, now))
  return 0
end

return { main = main, spec = SPEC }
