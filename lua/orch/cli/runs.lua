-- orch runs [--json]: the runs of the project, newest first
local args = require "orch.cli.args"
local clock = require "orch.ui.clock"
local json = require "orch.json"
local project = require "orch.project"
local record = require "orch.record"
local say = require "orch.cli.say"
local state = require "orch.state"

local SPEC <const> = { command = "runs", positional = {},
  flags = { json = "boolean", project = "string", limit = "integer" } }

--- A run's row for machines.
local function plain(opened, row)
  return { number = row.number, id = row.id, recipe = row.recipe, state = opened:state_of(row),
    started = row.started,
    ended = row.ended, error = row.error, params = record.decode(row.params) }
end

local function main(given)
  local parsed = args.parse(SPEC, given)
  local opened = state.open(project.find(parsed.project))
  local rows = opened:rows("SELECT * FROM runs ORDER BY number DESC LIMIT ?", parsed.limit or 20)
  local list = json.array {}
  for i, row in ipairs(rows) do list[i] = plain(opened, row) end
  if parsed.json then
    print(json.encode(list, { pretty = true }))
    return 0
  end
  if #list == 0 then print("no runs yet") end
  for _, each in ipairs(list) do
    say(("%5d  %-11s  %s  %8s  %s"):format(each.number, each.state,
      os.date("%Y-%m-%d %H:%M:%S", each.started // 1),
      each.ended and clock.duration(each.ended - each.started) or "", each.recipe:match("[^/]*$")))
  end
  opened:close()
  return 0
end

return { main = main, spec = SPEC, plain = plain }
