-- orch cancel [RUN]: asks the process that runs it to stop, as Ctrl-C does
local args = require "orch.cli.args"
local error_value = require "orch.error"
local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local project = require "orch.project"
local state = require "orch.state"
local task = require "orch.task"

local SPEC <const> = { command = "cancel", positional = { "run" },
  flags = { json = "boolean", project = "string" } }

local WAIT <const> = 60 -- seconds for its clean-up

local function main(given)
  local parsed = args.parse(SPEC, given)
  local opened = state.open(project.find(parsed.project))
  local row = opened:run(args.run_number("cancel", parsed.run))
  local now = opened:state_of(row)
  if now ~= "live" then
    local open = now ~= "success" and now ~= "discarded"
    error(error_value.new { kind = "conflict",
      message = ("run %d is not live: %s"):format(row.number, now),
      hint = open
        and ("go on with it: orch resume %d; or give it up: orch discard %d"):format(row.number,
        row.number) or nil }, 0)
  end
  -- The lock is held, so the process that wrote its number there is alive and no other.
  local pid = math.tointeger(tonumber(fs.read(opened:run_dir(row.number) .. "/lock") or ""))
  assert(pid and proc.kill(pid, 15))
  local deadline = task.clock() + WAIT
  while opened:state_of(opened:run(row.number)) == "live" do
    if task.clock() > deadline then
      error(error_value.new { kind = "timeout",
        message = ("run %d still cleans up after %d s"):format(row.number, WAIT) }, 0)
    end
    task.sleep(0.05)
  end
  local ended = opened:state_of(opened:run(row.number))
  if parsed.json then
    print(json.encode { number = row.number, state = ended })
  else
    print(("run %d: %s"):format(row.number, ended))
  end
  opened:close()
  return 0
end

return { main = main, spec = SPEC }
