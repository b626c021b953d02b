local fs = require "orch.fs"
local interruption = require "e2e.interruption"
local proc = require "orch.proc"

describe("an interrupted run, when its recipe is elsewhere or another,", function()
  local case, scratch
  before_each(function()
    case = interruption.new()
    scratch = case.scratch
  end)
  after_each(function() scratch:remove() end)

  it("is gone on with where its recipe is now, and says when it cannot be read", function()
    case:run_and_kill [[return orch.job { name = "j", run = function(job) say(job, "one") die(job) say(job, "two") end }]]
    assert(fs.rename(scratch:path("recipe.lua"), scratch:path("moved.lua")))
    for _, command in ipairs { "resume", "rerun" } do
      local lost = scratch:orch { command, "1" }
      assert.equal(5, lost.code, lost.all)
      assert.matches("the recipe of run 1 is gone: " .. scratch:path("recipe.lua"), lost.err, 1,
        true)
      assert.matches(("try: say where it is now: orch %s 1 --recipe FILE"):format(command),
        lost.err, 1, true)
    end
    local broken = case:resume("1", "--recipe", scratch:write("broken.lua", "return orch.job {"))
    assert.equal(2, broken.code, broken.all)
    assert.matches("broken.lua:1: ", broken.err, 1, true)
    assert.matches("run 1 stays as it is: mend the recipe, then orch resume 1", broken.err, 1, true)
    assert.equal("interrupted", case:shown().state)
    local result = case:resume("1", "--recipe", scratch:path("moved.lua"))
    assert.equal(0, result.code, result.all)
    assert.equal("one two", case:traced())
    assert.equal(scratch:path("moved.lua"), case:shown().recipe)
    assert.equal(0, scratch:orch({ "rerun", "1" }).code)
  end)

  it("has the verbs and modules beside its recipe when that is a link, too", function()
    scratch:write("elsewhere/recipe.lua",
      fs.read(case:recipe [[return orch.job { name = "j", run = function(job)
  say(job, "one") die(job) job:last() end }]]))
    scratch:write("verbs/last.lua", [[
-- last says so.
local orch = require "orch"
return orch.verb { options = {}, run = function(job) job:log("last") end }]])
    assert(fs.remove(scratch:path("recipe.lua")))
    assert(proc.run { argv = { "ln", "-s", "elsewhere/recipe.lua", scratch:path("recipe.lua") } })
    case:kill(scratch:start { "run", scratch:path("recipe.lua") })
    local result = case:resume()
    assert.equal(0, result.code, result.all)
    assert.matches("   last\n", result.out)
    assert.matches("^sha256:", case:shown().materials.recipe.digest)
  end)

  it("tells which of its jobs, modules and verbs are not what they were", function()
    scratch:write("verbs/greet.lua", [[
-- greet says something.
local orch = require "orch"
return orch.verb { options = {}, run = function(job) job:run "true" return "hello" end }]])
    scratch:write("shared.lua", "return { word = 'first' }")
    local text = [[local shared = require "shared"
return orch.pipeline { orch.job { name = "%s", run = function(job) say(job, shared.word .. job:greet()) die(job) end } }]]
    case:run_and_kill(text:format "old")
    case:recipe(text:format "new")
    scratch:write("shared.lua", "return { word = 'second' }")
    scratch:write("verbs/greet.lua",
      (fs.read(scratch:path("verbs/greet.lua")):gsub("hello", "goodbye")))
    local result = case:resume("--why")
    assert.equal(0, result.code, result.all)
    assert.equal("firsthello secondgoodbye", case:traced())
    for _, each in ipairs { "recipe.lua", "shared.lua", "verbs/greet.lua" } do
      assert.matches(("note: %s/%s has changed since the run began"):format(scratch.dir, each),
        result.out, 1, true)
    end
    assert.matches("- return { word = 'first' }\n   + return { word = 'second' }\n", result.out, 1,
      true)
    assert.matches("job 'old', which an earlier session began, is no longer in the recipe",
      result.out, 1, true)
    local made = case:shown()
    assert.same({ "new" }, { made.jobs[1].name, made.jobs[2] and made.jobs[2].name })
    assert.equal(6, #made.materials.files)
    for _, each in ipairs(made.materials.files) do
      local sum = assert(proc.run { argv = { "sha256sum", each.kept } }).stdout:match("^%x+")
      assert.equal("sha256:" .. sum, each.digest)
    end
  end)
end)
