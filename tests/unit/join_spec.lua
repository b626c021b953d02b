local join = require "orch.join"
local secret = require "orch.secret"

describe("a recipe's table.concat", function()
  it("is Lua's for what Lua can join, its errors too", function()
    assert.equal("1,b,2.5", join({ 1, "b", 2.5 }, ","))
    assert.equal("bc", join({ "a", "b", "c", "d" }, nil, 2, 3))
    assert.equal("", join {})
    assert.error_matches(function() join({ "a", nil, "c" }, "", 1, 3) end,
      "invalid value.*index 2")
    assert.error_matches(function() join { "a", true } end, "invalid value.*index 2")
    assert.error_matches(function() join "a" end, "table expected, got string")
  end)

  it("joins secrets, with one between them too", function()
    local token = secret.new("s3cret-value", "TOKEN")
    local joined = join({ "a", token, 1 }, "-")
    assert.is_true(secret.is(joined))
    assert.equal("***", tostring(joined))
    assert.is_true(secret.is(join({ "a", "b" }, token)))
    assert.equal("", join({}, token))
    assert.is_true(secret.is(join({ "a", token, "b" }, ",", 2, 2)))
  end)
end)
