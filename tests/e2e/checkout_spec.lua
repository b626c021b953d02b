local support = require "e2e.support"

describe("a checkout of the project", function()
  local scratch, project
  before_each(function()
    scratch = support.scratch()
    project = scratch:project { ["a.txt"] = "a" }
  end)
  after_each(function() scratch:remove() end)

  local function run(body) return scratch:recipe(body, { "--project", project }) end

  local CHANGED <const> = "the project has changes that are not committed"

  local function count(text, words) return select(2, text:gsub(words, "")) end

  it("says once that changes that are not committed are not in it", function()
    assert.equal(0, count(run "job:checkout()".all, CHANGED))
    scratch:write("project/a.txt", "b")
    local result =
      run "job:checkout() assert(job:read 'a.txt' == 'a') job:checkout { path = 'again' }"
    assert.equal(0, result.code, result.all)
    assert.equal(1, count(result.all, CHANGED), result.all)
    assert.equal(0, count(run "job:checkout { ref = 'main' }".all, CHANGED))
  end)

  it("has the tags, so that git describe works; that of a URL has none unless they are asked for",
    function()
    local proc = require "orch.proc"
    assert(assert(proc.run { argv = { "git", "-C", project, "tag", "v1.2" } }).code == 0)
    local result = run([[
job:checkout()
assert(job:run { "git describe --tags", capture = true }.output == "v1.2\n")
job:checkout { path = "bare", tags = false }
job:checkout { path = "url", url = "file://]] .. project .. [[" }
job:checkout { path = "tagged", url = "file://]] .. project .. [[", tags = true }
for dir, tags in pairs { bare = "", url = "", tagged = "v1.2\n" } do
  assert(job:run { "git tag", working_directory = dir, capture = true }.output == tags, dir)
end]])
    assert.equal(0, result.code, result.all)
  end)
end)

describe("a verb of the user's own", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  it("tells the line in it where it failed, beside the recipe's", function()
    scratch:write("verbs/mine.lua", [[
local orch = require "orch"
return orch.verb { options = {}, run = function(job)
  job:run "exit 3"
end }]])
    local result = scratch:recipe "job:mine()"
    assert.equal(1, result.code, result.all)
    assert.is_truthy(result.err:find("recipe.lua:4 (in " .. scratch:path("verbs/mine.lua") .. ":3)",
      1, true), result.err)
  end)

  it("is found in a directory of ORCH_PATH or in verbs/ there, beside modules that are no verbs",
    function()
    local text = "-- %s does it.\nreturn require 'orch'.verb { options = {}, run = function() end }"
    scratch:write("shared/one.lua", text:format "one")
    scratch:write("shared/verbs/two.lua", text:format "two")
    scratch:write("shared/helper.lua", "return { four = 4 }")
    local path = { ORCH_PATH = scratch:path("shared") }
    local result = scratch:recipe("job:one() job:two() assert(require 'helper'.four == 4)", {},
      path)
    assert.equal(0, result.code, result.all)
    result = scratch:orch({ "verbs", "--json" }, path)
    assert.equal(0, result.code, result.all)
    assert.matches('"name": "one"', result.out)
    assert.matches('"name": "two"', result.out)
    assert.is_nil(result.out:find('"name": "helper"', 1, true))
  end)
end)
