local json = require "orch.json"
local support = require "e2e.support"

describe("orch test", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  -- The one test of this body, against this recipe: what `orch test` tells of it.
  local function told(recipe, body)
    scratch:write("r.lua", 'local orch = require "orch"\n' .. recipe)
    scratch:write("r_test.lua",
      ('local orch = require "orch"\nreturn { ["it"] = function(t)\n%s\nend }'):format(body))
    local result = scratch:orch { "test", scratch.dir, "--json" }
    local report = assert(json.decode(result.out))
    assert.equal(1, #report.tests, result.all)
    assert.equal(report.tests[1].passed and 0 or 1, result.code)
    return report.tests[1], result
  end

  local function passes(recipe, body)
    local test = told(recipe, body)
    assert.is_true(test.passed, test.message)
  end

  local function fails(words, line, recipe, body)
    local test = told(recipe, body)
    assert.is_false(test.passed)
    local text = test.message .. " " .. (test.hint or "")
    assert.is_truthy(text:find(words, 1, true), text)
    assert.equal(scratch:path("r_test.lua:") .. line, test.where)
  end

  local function job(body, head)
    return ("return orch.job { name = 'j', %s run = function(job)\n%s\nend }"):format(head or "",
      body)
  end

  it("tells how a test gives the parameters that a recipe needs", function()
    fails("r.lua\", { params = { NAME = value } })", 4,
      "return orch.pipeline { params = { v = 'string' }, orch.job { name = 'j', run = print } }",
      "\nt:run('r.lua')")
  end)

  local EFFECT <const> = "job:run('touch ' .. '%s')"

  it("runs bodies and does nothing", function()
    local made = scratch:path("made")
    passes(job(EFFECT:format(made)), [[local run = t:run("r.lua")
t:equal("success", run.jobs.j.state)
t:equal({ { command = "touch ]] .. made .. [[" } }, run:calls "run")]])
    assert.is_nil(require "orch.fs".stat(made))
  end)

  it("answers as the test says, by value or by function", function()
    passes(job [[if job:image_exists "x:1" then return { was = "there" } end
job:run("make " .. job:read "V" .. job:read "W")
if job:run("x").code == 3 then return { was = "three" } end]], [[
local function answers(there)
  return { verbs = { image_exists = there, read = function(o, job) return o.path .. job.name end, run = { code = 3 } } }
end
t:equal({ was = "there" }, t:run("r.lua", answers(true)).jobs.j.outputs)
local run = t:run("r.lua", answers(false))
t:equal({ was = "three" }, run.jobs.j.outputs)
t:equal("make VjWj", run:calls("run")[1].command)]])
  end)

  it("gives parameters and values of the pipeline", function()
    passes([[return orch.pipeline { params = { n = { "integer", default = 1 } }, orch.job { name = "j",
when = function(it) return it.pipeline.git.branch == "main" end,
run = function(job) return { n = job.params.n, number = job.pipeline.number } end } }]],
      [[local run = t:run("r.lua", { params = { n = 5 }, pipeline = { number = 7, ["git.branch"] = "main" } })
t:equal({ n = 5, number = 7 }, run.jobs.j.outputs)
t:equal("not_run", t:run("r.lua", { pipeline = { ["git.branch"] = "x" } }).jobs.j.state)]])
  end)

  it("knows what a failure brings about", function()
    passes([[return orch.pipeline {
  orch.job { name = "a", run = function(job)
    job:run { "undo", when = "on_fail" }
    job:docker_build { tags = { "x:1" } }
  end },
  orch.job { name = "b", needs = { "a" }, run = function(job) job:run "b" end },
  orch.job { name = "c", needs = { a = "failed" }, run = function(job) job:run "c" end } }]], [[
local run = t:run("r.lua", { verbs = { docker_build = function() orch.fail "no base" end } })
t:equal({ "failed", "no base", "failed" }, { run.jobs.a.state, run.jobs.a.failure, run.jobs.a.kind })
t:equal({ "not_run", "success" }, { run.jobs.b.state, run.jobs.c.state })
t:equal({ { command = "undo", when = nil }, { command = "c" } }, run:calls "run")
t:equal({}, run.build)
run = t:run("r.lua")
t:equal({ "success", "success", "not_run" }, { run.jobs.a.state, run.jobs.b.state, run.jobs.c.state })
t:equal({ "x:1" }, run.build)
t:equal({ { command = "b" } }, run:calls "run")]])
  end)

  it("runs verbs of the user's own when asked to, and fakes what they call", function()
    scratch:write("verbs/mine.lua", [[local orch = require "orch"
return orch.verb { options = { n = "integer" }, run = function(job, o) return job:run("mine " .. o.n).code + 1 end }]])
    passes(job "return { x = job:mine { n = 4 } }", [[
local run = t:run("r.lua", { really = { "mine" }, verbs = { run = { code = 8 } } })
t:equal({ x = 9 }, run.jobs.j.outputs)
t:equal({ command = "mine 4" }, run:calls("run", "j")[1])
t:equal({ x = "y" }, t:run("r.lua", { verbs = { mine = "y" } }).jobs.j.outputs)]])
    fails("'run' is no verb of your own", 3, job "", "t:run('r.lua', { really = { 'run' } })")
  end)

  it("says of a test what is wrong, and where", function()
    fails("expected [1,2], got [1,3]", 4, job "", "\nt:equal({ 1, 2 }, { 1, 3 })")
    fails("assertion failed", 3, job "", "assert(false)")
    fails("verbs = { read = … }", 3, job "if job:read 'x' == 'y' then job:run 'z' end",
      "t:run('r.lua')")
    fails("pipeline = { … }", 3, job "if job.pipeline.git.branch == 'main' then job:run 'z' end",
      "t:run('r.lua')")
    fails("pipeline = { … }", 3,
      job("", "when = function(it) return it.pipeline.git.branch == 'main' end,"), "t:run('r.lua')")
    fails("unknown option 'enviroment'", 3, job "job:run { 'x', enviroment = {} }",
      "t:run('r.lua')")
    fails("there is no verb 'rnu'", 3, job "", "t:run('r.lua', { verbs = { rnu = 1 } })")
    fails("unknown option 'verb'", 3, job "", "t:run('r.lua', { verb = {} })")
    fails("r.lua", 3, job "", "t:run('q.lua')")
    fails("run.jobs has no 'k'", 3, job "", "t:equal('x', t:run('r.lua').jobs.k.state)")
  end)

  it("finds the files of tests, and says when there are none", function()
    assert.equal(5, scratch:orch({ "test", scratch.dir }).code)
    scratch:write("a/b/x_test.lua",
      "return { one = function(t) t:equal(1, 1) end, two = function() error 'no' end }")
    scratch:write("a/.hidden/y_test.lua", "return 7")
    local result = scratch:orch { "test", scratch.dir }
    assert.equal(1, result.code, result.all)
    assert.matches("ok    one\n  FAIL  two\n", result.out)
    assert.matches("1 passed, 1 failed\n$", result.out)
    result = scratch:orch { "test", scratch:path("a/.hidden/y_test.lua") }
    assert.equal(2, result.code)
    assert.matches("must return a table of tests", result.err)
  end)

  it("passes for what `orch new` writes, and for the recipes", function()
    local proc = require "orch.proc"
    local result = assert(proc.run { cwd = scratch.dir, timeout = 60, argv = { "/bin/sh", "-ec",
      '"$0" new recipe hello && "$0" new test hello && "$0" test', support.orch } })
    assert.equal(0, result.code, result.stdout)
    assert.equal(0, scratch:orch({ "test", support.root .. "/recipes" }).code)
  end)
end)
