local matrix = require "orch.matrix"
local orch = require "orch"

local function names(given)
  local list = {}
  for i,
    each in ipairs(matrix.expand(orch.job { name = "j", matrix = given, run = function() end })) do
    list[i] = each.name
  end
  return list
end

local function refused(pattern, given)
  local good, failure = pcall(names, given)
  assert.is_false(good)
  assert.equal("usage", failure.kind)
  assert.matches(pattern, failure.message)
end

describe("matrix", function()
  it("names instances by their values, in the order of the parameters' names", function()
    assert.same({ "j-b-1", "j-b-2", "j-a-1", "j-a-2" },
      names { version = { 1, 2 }, os = { "b", "a" } })
    assert.same({ "j" }, names(nil))
    assert.same({ "j" }, names {})
  end)

  it("makes names that can stand in paths", function()
    assert.same({ "j-a_b", "j-node_14", "j-true", "j-1.5" },
      names { v = { "a/b", "node:14", true, 1.5 } })
  end)

  it("gives each instance its own values", function()
    local made =
      matrix.expand(orch.job { name = "j", matrix = { v = { 1, 2 }, os = { "x" } },
      run = function() end })
    assert.same({ v = 1, os = "x" }, made[1].values)
    assert.same({ v = 2, os = "x" }, made[2].values)
    assert.equal("j", made[2].base_name)
  end)

  it("leaves out what is excluded, which must be complete", function()
    assert.same({ "j-a-1", "j-a-2", "j-b-2" },
      names { os = { "a", "b" }, v = { 1, 2 }, exclude = { { os = "b", v = 1 } } })
    refused("exclude must say which 'v'",
      { os = { "a", "b" }, v = { 1 }, exclude = { { os = "b" } } })
    refused("exclude names 'oss'; did you mean 'os'%?",
      { os = { "a", "b" }, exclude = { { oss = "b" } } })
    refused("exclude must be a list", { os = { "a" }, exclude = { "a" } })
    refused("exclude must be a list", { os = { "a" }, exclude = "a" })
    refused("excludes all", { os = { "a" }, exclude = { { os = "a" } } })
  end)

  it("refuses what is no list of values", function()
    refused("a list of values needs a name", { "a", "b" })
    refused("'os' must be a list", { os = "linux" })
    refused("'os' must be a list", { os = {} })
  end)
end)
