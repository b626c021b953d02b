local db = require "orch.db"
local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"
local task = require "orch.task"

-- Runs that were killed at a place of the spec's choice, and what is made of them afterwards.
describe("an interrupted run", function()
  local scratch, trace, go
  before_each(function()
    scratch = support.scratch()
    trace, go = scratch:path("trace"), scratch:path("go")
  end)
  after_each(function() scratch:remove() end)

  local function recipe(text)
    return scratch:write("recipe.lua", ([[
local orch = require "orch"
local function say(job, what) job:run { name = "say " .. what, ("echo %%s >> %s"):format(what) } end
-- Waits to be killed, the first time only.
local function die(job) job:run { name = "die", "test -e %s && exit 0; touch %s; sleep 60" } end
]]):format(trace, go, go) .. text)
  end

  local function traced()
    local words = {}
    for word in (fs.stat(trace) and fs.read(trace) or ""):gmatch("[^\n]+") do
      words[#words + 1] = word
    end
    return table.concat(words, " ")
  end

  local function kill(child)
    for _ = 1, 1000 do
      if fs.stat(go) then break end
      task.sleep(0.01)
    end
    assert(fs.stat(go), "it never came to its end")
    os.execute("kill -9 " .. scratch:pid_of(child))
    for _ in child.read, child do end
    child:wait()
  end

  local function run_and_kill(text, ...) kill(scratch:start { "run", recipe(text), ... }) end

  local function resume(...) return scratch:orch { "resume", ... } end

  local function shown() return json.decode(scratch:orch({ "show", "--json" }).out) end

  it("is gone on with where its recipe is now, and says when it cannot be read", function()
    run_and_kill [[return orch.job { name = "j", run = function(job) say(job, "one") die(job) say(job, "two") end }]]
    assert(fs.rename(scratch:path("recipe.lua"), scratch:path("moved.lua")))
    for _, command in ipairs { "resume", "rerun" } do
      local lost = scratch:orch { command, "1" }
      assert.equal(5, lost.code, lost.all)
      assert.matches("the recipe of run 1 is gone: " .. scratch:path("recipe.lua"), lost.err, 1,
        true)
      assert.matches(("try: say where it is now: orch %s 1 --recipe FILE"):format(command),
        lost.err, 1, true)
    end
    local broken = resume("1", "--recipe", scratch:write("broken.lua", "return orch.job {"))
    assert.equal(2, broken.code, broken.all)
    assert.matches("broken.lua:1: ", broken.err, 1, true)
    assert.matches("run 1 stays as it is: mend the recipe, then orch resume 1", broken.err, 1, true)
    assert.equal("interrupted", shown().state)
    local result = resume("1", "--recipe", scratch:path("moved.lua"))
    assert.equal(0, result.code, result.all)
    assert.equal("one two", traced())
    assert.equal(scratch:path("moved.lua"), shown().recipe)
    assert.equal(0, scratch:orch({ "rerun", "1" }).code)
  end)

  it("has the verbs and modules beside its recipe when that is a link, too", function()
    scratch:write("elsewhere/recipe.lua",
      fs.read(recipe [[return orch.job { name = "j", run = function(job)
  say(job, "one") die(job) job:last() end }]]))
    scratch:write("verbs/last.lua", [[
-- last says so.
local orch = require "orch"
return orch.verb { options = {}, run = function(job) job:log("last") end }]])
    assert(fs.remove(scratch:path("recipe.lua")))
    assert(proc.run { argv = { "ln", "-s", "elsewhere/recipe.lua", scratch:path("recipe.lua") } })
    kill(scratch:start { "run", scratch:path("recipe.lua") })
    local result = resume()
    assert.equal(0, result.code, result.all)
    assert.matches("   last\n", result.out)
    assert.matches("^sha256:", shown().materials.recipe.digest)
  end)

  it("tells which of its jobs, modules and verbs are not what they were", function()
    scratch:write("verbs/greet.lua", [[
-- greet says something.
local orch = require "orch"
return orch.verb { options = {}, run = function(job) job:run "true" return "hello" end }]])
    scratch:write("shared.lua", "return { word = 'first' }")
    local text = [[local shared = require "shared"
return orch.pipeline { orch.job { name = "%s", run = function(job) say(job, shared.word .. job:greet()) die(job) end } }]]
    run_and_kill(text:format "old")
    recipe(text:format "new")
    scratch:write("shared.lua", "return { word = 'second' }")
    scratch:write("verbs/greet.lua",
      (fs.read(scratch:path("verbs/greet.lua")):gsub("hello", "goodbye")))
    local result = resume("--why")
    assert.equal(0, result.code, result.all)
    assert.equal("firsthello secondgoodbye", traced())
    for _, each in ipairs { "recipe.lua", "shared.lua", "verbs/greet.lua" } do
      assert.matches(("note: %s/%s has changed since the run began"):format(scratch.dir, each),
        result.out, 1, true)
    end
    assert.matches("- return { word = 'first' }\n   + return { word = 'second' }\n", result.out, 1,
      true)
    assert.matches("job 'old', which an earlier session began, is no longer in the recipe",
      result.out, 1, true)
    local made = shown()
    assert.same({ "new" }, { made.jobs[1].name, made.jobs[2] and made.jobs[2].name })
    assert.equal(6, #made.materials.files)
    for _, each in ipairs(made.materials.files) do
      local sum = assert(proc.run { argv = { "sha256sum", each.kept } }).stdout:match("^%x+")
      assert.equal("sha256:" .. sum, each.digest)
    end
  end)

  -- The job `grow` is entered again in each session, because it has added a job.
  local GROWING <const> = [[
local function grow(job)
  job:run { name = "server", background = true, "test -e OPEN || touch GO; sleep 60", ready = { command = "test -e OPEN" } }
  say(job, "SAID")
  job:write { path = "f", text = "SAID" }
  job:persist_to_workspace { paths = { "f" } }
  job:add_jobs { orch.job { name = "late", needs = { "grow" }, run = function(late)
    late:attach_workspace "."
    late:run { name = "late", "echo late-$(cat f) >> TRACE" }
  end } }
end
return orch.pipeline { orch.job { name = "grow", run = grow },
  orch.job { name = "last", needs = { "grow" }, run = function(job)
    job:run { name = "wait", "until grep -q late TRACE; do sleep 0.01; done" }
    say(job, "last")
    die(job)
  end } }]]

  local function growing(said)
    local names = { OPEN = scratch:path("open"), GO = go, TRACE = trace, SAID = said }
    return (GROWING:gsub("%u%u+", names))
  end

  it("repeats nothing of the jobs that need one which it was just entering again when it was killed once more", function()
    scratch:write("open", "")
    run_and_kill(growing("one"), "-j", "2")
    assert.equal("one late-one last", traced())
    assert(fs.remove(scratch:path("open")))
    assert(fs.remove(go))
    kill(scratch:start { "resume" }) -- while the server of `grow` is awaited
    scratch:write("open", "")
    local result = resume()
    assert.equal(0, result.code, result.all)
    assert.equal("one late-one last", traced())
  end)

  it("does again what needs a job that is entered again and does something else now", function()
    scratch:write("open", "")
    run_and_kill(growing("one"), "-j", "2")
    recipe(growing("two"))
    local result = resume()
    assert.equal(0, result.code, result.all)
    assert.matches("^one late%-one last two", traced())
    assert.matches("late-two", traced(), 1, true)
    assert.matches("two.*last", traced())
  end)

  it("does not repeat what accepted that a job was not wanted, until that is", function()
    local function skipping(condition)
      return ([[return orch.pipeline {
  orch.job { name = "lint", when = function() return %s end, run = function(job) say(job, "lint") end },
  orch.job { name = "deploy", needs = { lint = { "success", "not_run" } }, run = function(job) say(job, "deploy") end },
  orch.job { name = "last", needs = { "deploy" }, run = function(job) say(job, "last") die(job) orch.fail "no" end } }]])
        :format(condition)
    end
    run_and_kill(skipping("false"))
    assert.equal(1, resume().code)
    assert.equal("deploy last", traced())
    assert.equal(1, scratch:orch({ "rerun", "1", "--failed" }).code)
    assert.equal("deploy last last", traced())
    recipe(skipping("true"))
    assert.equal(1, resume("1").code)
    assert.equal("deploy last last lint deploy last", traced())
  end)

  it("repeats nothing behind a step that is done again on each resume, however often that asks",
    function()
    scratch:write("verbs/ask.lua", ([[
-- ask asks until there is an answer; on each resume again.
local orch = require "orch"
return orch.verb { options = {}, replay = "again", run = function(job)
  for i = 1, 9 do
    job:run { "echo asked >> ASKED" }
    if job:run { "wc -l < ASKED", capture = true }.output:match "[3467]" then break end
  end
end }]]):gsub("ASKED", scratch:path("asked")))
    run_and_kill [[return orch.job { name = "j", run = function(job)
  job:ask() say(job, "one") job:ask() say(job, "two") die(job) job:ask() say(job, "three") end }]]
    local result = resume()
    assert.equal(0, result.code, result.all)
    assert.equal("one two three", traced())
  end)

  it("gives a body that went on after a failure the same failure again", function()
    run_and_kill((([[return orch.job { name = "j", run = function(job)
  local function flaky(n) job:run { name = "flaky", "echo try >> TRACE; test $(grep -c try TRACE) -gt " .. n } end
  for i = 1, 5 do if pcall(flaky, 2) then break end end
  say(job, "one")
  local good, failure = pcall(job.group, job, "a group", function() job:run "echo in-group >> TRACE; exit 7" end)
  say(job, ("%s-%d-%s"):format(good, failure.code, failure.kind))
  local _, both = pcall(orch.all, { b = function() job:run "while ! test -e TRACE-b; do sleep 0.01; done; echo b-fails >> TRACE; exit 5" end,
    a = function()
      pcall(job.run, job, "echo a-begins >> TRACE; touch TRACE-b; sleep 60")
      job:run "echo never >> TRACE"
    end })
  say(job, both.code)
  die(job)
  say(job, "two")
end }]]):gsub("TRACE", trace)))
    local result = resume()
    assert.equal(0, result.code, result.all)
    assert.equal("try try try one in-group false-7-failed a-begins b-fails 5 two", traced())
    assert.matches("\n%-%- echo a%-begins[^\n]*  %(cancelled before%)\n", result.out)
  end)

  it("does again what had failed when the body tidied up by itself and then failed with it",
    function()
    local path = recipe((([[return orch.job { name = "j", run = function(job)
  local function tidily(f)
    local good, failure = pcall(f)
    say(job, "tidied")
    if not good then error(failure, 0) end
  end
  tidily(function() orch.all {
    a = function() job:run "echo a >> TRACE; test -e GO" end,
    b = function() job:run "test -e GO || sleep 60; echo b >> TRACE" end } end)
  tidily(function() job:run "echo c >> TRACE; test -e GO-2" end)
end }]]):gsub("TRACE", trace):gsub("GO", go)))
    assert.equal(1, scratch:orch({ "run", path }).code)
    assert.equal(1, resume().code)
    assert.equal("a tidied a", traced())
    scratch:write("go", "")
    assert.equal(1, resume().code)
    scratch:write("go-2", "")
    assert.equal(0, resume().code)
    assert.equal("a tidied a a b c tidied c", (traced():gsub("b a c", "a b c")))
  end)

  it("that an older orch has begun is gone on with; one of a newer orch is left alone", function()
    run_and_kill [[return orch.pipeline {
  orch.job { name = "a", run = function(job) say(job, "a") end },
  orch.job { name = "b", needs = { "a" }, run = function(job) say(job, "b") die(job) end } }]]
    local function change(...)
      local base = db.open(scratch:path("state/orch.db"))
      for _, sql in ipairs { ... } do assert(base:exec(sql)) end
      base:close()
    end
    change("PRAGMA user_version = 99")
    local newer = resume()
    assert.equal(6, newer.code, newer.all)
    assert.matches("was written by a newer orch (format 99; this one knows ", newer.err, 1, true)
    change("DROP TABLE files", "DROP TABLE planned", "ALTER TABLE jobs DROP COLUMN began",
      "ALTER TABLE jobs DROP COLUMN stands",
      "PRAGMA user_version = 1")
    local result = resume()
    assert.equal(0, result.code, result.all)
    assert.equal("a b", traced())
  end)

  it("of more steps than one answer of the database holds is gone on with", function()
    local body = [[return orch.job { name = "j", run = function(job)
  for i = 1, 3 do job:group("g", function() say(job, "s" .. i) end) end die(job) say(job, "end") end }]]
    run_and_kill(body)
    local base = db.open(scratch:path("state/orch.db"))
    assert(base:exec([[INSERT INTO steps (run, id, seq, job, parent, branch, verb, title, options, state, again, started)
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000)
      SELECT 1, 'j/group#' || (i + 10), i + 10, 'j', 'j', 'j', 'group', 'more', '{}', 'success', 1, 1 FROM n]]))
    base:close()
    local result = resume()
    assert.equal(0, result.code, result.all)
    assert.equal("s1 s2 s3 end", traced())
    local _, count = scratch:orch({ "show" }).out:gsub("\n", "")
    assert.is_true(count > 120000)
    assert.equal(0, scratch:orch({ "logs" }).code)
  end)

  it("does not go on behind a step that ended the job early", function()
    scratch:write("verbs/stop.lua", [[
-- stop ends the job.
local orch = require "orch"
return orch.verb { options = {}, run = function(job) job:run "true" job:halt() end }]])
    run_and_kill [[return orch.job { name = "j", run = function(job)
  job:defer(function() die(job) end)
  say(job, "one")
  job:group("g", function() job:stop() end)
  say(job, "never") end }]]
    local result = resume("--why")
    assert.equal(0, result.code, result.all)
    assert.equal("one", traced())
    assert.equal("success", shown().state)
  end)
end)
