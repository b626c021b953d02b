local fs = require "orch.fs"
local proc = require "orch.proc"

describe("the stub of the verbs", function()
  it("is what `orch verbs --stub` writes", function()
    local environment = fs.environment()
    environment.ORCH_PATH = nil
    local result = assert(proc.run { argv = { assert(fs.real_path("/proc/self/exe")), "verbs", "--stub" }, cwd = "lua",
      env = environment, split = true })
    assert.equal(0, result.code, result.stderr)
    assert.equal(assert(fs.read("lua/orch/meta/verbs.lua")), result.stdout)
  end)
end)
