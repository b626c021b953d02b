local db = require "orch.db"
local fs = require "orch.fs"
local interruption = require "e2e.interruption"

describe("an interrupted run", function()
  local case, scratch
  before_each(function()
    case = interruption.new()
    scratch = case.scratch
  end)
  after_each(function() scratch:remove() end)

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
    local names = { OPEN = scratch:path("open"), GO = case.go, TRACE = case.trace, SAID = said }
    return (GROWING:gsub("%u%u+", names))
  end

  it("repeats nothing of the jobs that need one which it was just entering again when it was killed once more", function()
    scratch:write("open", "")
    case:run_and_kill(growing("one"), "-j", "2")
    assert.equal("one late-one last", case:traced())
    assert(fs.remove(scratch:path("open")))
    assert(fs.remove(case.go))
    case:kill(scratch:start { "resume" }) -- while the server of `grow` is awaited
    scratch:write("open", "")
    local result = case:resume()
    assert.equal(0, result.code, result.all)
    assert.equal("one late-one last", case:traced())
  end)

  it("does again what needs a job that is entered again and does something else now", function()
    scratch:write("open", "")
    case:run_and_kill(growing("one"), "-j", "2")
    case:recipe(growing("two"))
    local result = case:resume()
    assert.equal(0, result.code, result.all)
    assert.matches("^one late%-one last two", case:traced())
    assert.matches("late-two", case:traced(), 1, true)
    assert.matches("two.*last", case:traced())
  end)

  it("does not repeat what accepted that a job was not wanted, until that is", function()
    local function skipping(condition)
      return ([[return orch.pipeline {
  orch.job { name = "lint", when = function() return %s end, run = function(job) say(job, "lint") end },
  orch.job { name = "deploy", needs = { lint = { "success", "not_run" } }, run = function(job) say(job, "deploy") end },
  orch.job { name = "last", needs = { "deploy" }, run = function(job) say(job, "last") die(job) orch.fail "no" end } }]])
        :format(condition)
    end
    case:run_and_kill(skipping("false"))
    assert.equal(1, case:resume().code)
    assert.equal("deploy last", case:traced())
    assert.equal(1, scratch:orch({ "rerun", "1", "--failed" }).code)
    assert.equal("deploy last last", case:traced())
    case:recipe(skipping("true"))
    assert.equal(1, case:resume("1").code)
    assert.equal("deploy last last lint deploy last", case:traced())
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
    case:run_and_kill [[return orch.job { name = "j", run = function(job)
  job:ask() say(job, "one") job:ask() say(job, "two") die(job) job:ask() say(job, "three") end }]]
    local result = case:resume()
    assert.equal(0, result.code, result.all)
    assert.equal("one two three", case:traced())
  end)

  it("gives a body that went on after a failure the same failure again", function()
    case:run_and_kill((([[return orch.job { name = "j", run = function(job)
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
end }]]):gsub("TRACE", case.trace)))
    local result = case:resume()
    assert.equal(0, result.code, result.all)
    assert.equal("try try try one in-group false-7-failed a-begins b-fails 5 two", case:traced())
    assert.matches("\n%-%- echo a%-begins[^\n]*  %(cancelled before%)\n", result.out)
  end)

  it("gives a body that went on in branches after a failure the same failure again", function()
    local path = case:recipe((([[return orch.job { name = "j", run = function(job)
  job:run { "echo tidy >> TRACE", when = "always" }
  local good, failure = pcall(job.run, job, "echo try >> TRACE; exit 7")
  orch.all { a = function() job:run("echo " .. failure.code .. " >> TRACE") job:run "test -e GO" end }
end }]]):gsub("TRACE", case.trace):gsub("GO", case.go)))
    assert.equal(1, scratch:orch({ "run", path }).code)
    scratch:write("go", "")
    local result = case:resume()
    assert.equal(0, result.code, result.all)
    assert.equal("try 7 tidy tidy", case:traced())
  end)

  it("does again what had failed when the body tidied up by itself and then failed with it",
    function()
    local path = case:recipe((([[return orch.job { name = "j", run = function(job)
  local function tidily(f)
    local good, failure = pcall(f)
    say(job, "tidied")
    if not good then error(failure, 0) end
  end
  tidily(function() orch.all {
    a = function() job:run "echo a >> TRACE; test -e GO" end,
    b = function() job:run "test -e GO || sleep 60; echo b >> TRACE" end } end)
  tidily(function() job:run "echo c >> TRACE; test -e GO-2" end)
end }]]):gsub("TRACE", case.trace):gsub("GO", case.go)))
    assert.equal(1, scratch:orch({ "run", path }).code)
    assert.equal(1, case:resume().code)
    assert.equal("a tidied a", case:traced())
    scratch:write("go", "")
    assert.equal(1, case:resume().code)
    scratch:write("go-2", "")
    assert.equal(0, case:resume().code)
    assert.equal("a tidied a a b c tidied c", (case:traced():gsub("b a c", "a b c")))
  end)

  it("that an older orch has begun is gone on with; one of a newer orch is left alone", function()
    case:run_and_kill [[return orch.pipeline {
  orch.job { name = "a", run = function(job) say(job, "a") end },
  orch.job { name = "b", needs = { "a" }, run = function(job) say(job, "b") die(job) end } }]]
    local function change(...)
      local base = db.open(scratch:path("state/orch.db"))
      for _, sql in ipairs { ... } do assert(base:exec(sql)) end
      base:close()
    end
    change("PRAGMA user_version = 99")
    local newer = case:resume()
    assert.equal(6, newer.code, newer.all)
    assert.matches("was written by a newer orch (format 99; this one knows ", newer.err, 1, true)
    change("DROP TABLE files", "DROP TABLE planned", "ALTER TABLE jobs DROP COLUMN began",
      "ALTER TABLE jobs DROP COLUMN stands",
      "PRAGMA user_version = 1")
    local result = case:resume()
    assert.equal(0, result.code, result.all)
    assert.equal("a b", case:traced())
  end)

  it("of more steps than one answer of the database holds is gone on with", function()
    local body = [[return orch.job { name = "j", run = function(job)
  for i = 1, 3 do job:group("g", function() say(job, "s" .. i) end) end die(job) say(job, "end") end }]]
    case:run_and_kill(body)
    local base = db.open(scratch:path("state/orch.db"))
    assert(base:exec([[INSERT INTO steps (run, id, seq, job, parent, branch, verb, title, options, state, again, started)
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000)
      SELECT 1, 'j/group#' || (i + 10), i + 10, 'j', 'j', 'j', 'group', 'more', '{}', 'success', 1, 1 FROM n]]))
    base:close()
    local result = case:resume()
    assert.equal(0, result.code, result.all)
    assert.equal("s1 s2 s3 end", case:traced())
    local _, count = scratch:orch({ "show" }).out:gsub("\n", "")
    assert.is_true(count > 120000)
    assert.equal(0, scratch:orch({ "logs" }).code)
  end)

  it("does not go on behind a step that ended the job early", function()
    scratch:write("verbs/stop.lua", [[
-- stop ends the job.
local orch = require "orch"
return orch.verb { options = {}, run = function(job) job:run "true" job:halt() end }]])
    case:run_and_kill [[return orch.job { name = "j", run = function(job)
  job:defer(function() die(job) end)
  say(job, "one")
  job:group("g", function() job:stop() end)
  say(job, "never") end }]]
    local result = case:resume("--why")
    assert.equal(0, result.code, result.all)
    assert.equal("one", case:traced())
    assert.equal("success", case:shown().state)
  end)
end)
