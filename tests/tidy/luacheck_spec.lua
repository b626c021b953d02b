local proc = require "orch.proc"

describe("luacheck", function()
  it("finds nothing in lua/ and tests/", function()
    local result, failure =
      proc.run { argv = { "luacheck", "-q", "--no-color", "lua", "tests", "recipes" } }
    if not result and failure.kind == "missing" then return pending "luacheck is not installed" end
    assert(result, failure)
    assert.equal(0, result.code, result.stdout)
  end)
end)
