-- What a person sees of orch in a terminal.
local assert = require "luassert"
local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"

local PYTHON <const> = "/usr/bin/python3" -- Debian's, which has Debian's modules

--- Runs `orch ARGS…` in a terminal of 100 columns and 40 rows while these things are done there;
--- what screen.py tells, with all lines in text.
---@param scratch table of support
---@param actions string see screen.py
---@param args string[]
---@param env? table<string, string> laid over the environment
local function see(scratch, actions, args, env)
  local environment = fs.environment()
  environment.ORCH_STATE, environment.TMPDIR = scratch:path("state"), scratch:path("tmp")
  environment.LANG, environment.LC_ALL, environment.TERM = "C.UTF-8", nil, "xterm"
  for name, value in pairs(env or {}) do environment[name] = value end
  local result =
    assert(proc.run { argv = { PYTHON, support.root .. "/tests/e2e/screen.py", "100x40", actions,
    "--", support.orch, table.unpack(args) }, env = environment, timeout = 90 })
  assert.equal(0, result.code, result.stdout)
  local seen = json.decode(result.stdout)
  seen.text = table.concat(seen.all, "\n")
  assert.is_false(seen.late, "it did not end:\n" .. seen.text)
  return seen
end

return { see = see }
