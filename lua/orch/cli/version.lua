-- orch version [--json]
local args = require "orch.cli.args"

local SPEC <const> = { command = "version", positional = {}, flags = { json = "boolean" } }

local function main(given)
  local parsed = args.parse(SPEC, given)
  local version = require "orch.task".version
  print(parsed.json and require "orch.json".encode { version = version } or "orch " .. version)
  return 0
end

return { main = main, spec = SPEC }
