local fs = require "orch.fs"
local json = require "orch.json"
local support = require "e2e.support"

-- Jobs of a pipeline, through the real program.
describe("a pipeline's jobs", function()
  local scratch, trace
  before_each(function()
    scratch = support.scratch()
    trace = scratch:path("trace")
  end)
  after_each(function() scratch:remove() end)

  -- Runs jobs that tell the trace what they do: say(job, "text").
  local function run(text, ...)
    local path = scratch:write("recipe.lua", ([[
local orch = require "orch"
local function say(job, what) job:run(("echo %%s >> %s"):format(what)) end
local function just(what) return function(job) say(job, what) end end
]]):format(trace) .. text)
    return scratch:orch { "run", path, ... }
  end

  local function resume(...) return scratch:orch { "resume", ... } end

  local function traced()
    local words = {}
    for word in (fs.stat(trace) and fs.read(trace) or ""):gmatch("[^\n]+") do
      words[#words + 1] = word
    end
    return words
  end

  local function sorted() local words = traced() table.sort(words) return words end

  local function states(number)
    local shown, map = json.decode(scratch:orch({ "show", tostring(number or 1), "--json" }).out),
      {}
    for _, each in ipairs(shown.jobs) do map[each.name] = each.state end
    return map, shown
  end

  it("stop at the first failure, or go on with what does not need it", function()
    local text = [[return orch.pipeline {
  orch.job { name = "bad", run = function(job) job:run "sleep 0.1; exit 1" end },
  orch.job { name = "long", run = function(job) job:run "sleep 0.5" say(job, "long") end },
  orch.job { name = "after", needs = { "bad" }, run = just "after" },
  orch.job { name = "other", needs = { "long" }, run = just "other" },
  orch.job { name = "tidy", needs = { long = "terminal" }, run = just "tidy" } }]]
    local result = run(text, "-j", "4")
    assert.equal(1, result.code, result.all)
    assert.same({ "tidy" }, traced())
    assert.same({ bad = "failed", long = "cancelled", after = "not_run", other = "not_run",
      tidy = "success" }, (states(1)))
    assert(fs.remove(trace))
    assert.equal(1, run(text, "-j", "4", "--keep-going").code)
    assert.same({ "long", "other", "tidy" }, sorted())
    assert.same({ bad = "failed", long = "success", after = "not_run", other = "success",
      tidy = "success" }, (states(2)))
  end)

  it("run when what they need has ended as they say", function()
    local result = run([[return orch.pipeline {
  orch.job { name = "bad", run = function(job) job:run "exit 1" end },
  orch.job { name = "skipped", needs = { "bad" }, run = just "skipped" },
  orch.job { name = "on_fail", needs = { bad = "failed" }, run = just "on_fail" },
  orch.job { name = "on_skip", needs = { skipped = "not_run" }, run = just "on_skip" },
  orch.job { name = "either", needs = { bad = { "success", "failed" } }, run = just "either" },
  orch.job { name = "ever", needs = { skipped = "terminal" }, run = just "ever" } }]], "-k")
    assert.equal(1, result.code)
    assert.same({ "either", "ever", "on_fail", "on_skip" }, sorted())
  end)

  it("run only when their condition says so", function()
    local text = [[return orch.pipeline { params = { stage = { "string", default = "test" } },
  orch.job { name = "a", run = function() return { x = 1 } end },
  orch.job { name = "live", needs = { "a" }, when = function(c) return c.params.stage == "live" and c.needs.a.x == 1 end, run = just "live" },
  orch.job { name = "after", needs = { "live" }, run = just "after" } }]]
    assert.equal(0, run(text).code)
    assert.same({}, traced())
    assert.same({ a = "success", live = "not_run", after = "not_run" }, (states(1)))
    assert.equal(0, run(text, "stage=live").code)
    assert.same({ "live", "after" }, traced())
    local broken = run [[return orch.pipeline {
  orch.job { name = "w", when = function(c) return c.params.nothing end, run = just "w" } }]]
    assert.equal(2, broken.code)
    assert.matches("job.params has no 'nothing'", broken.err)
  end)

  it("give outputs on, with their types", function()
    local result = run [[return orch.pipeline {
  orch.job { name = "b", needs = { "a" }, run = function(job)
    local a = job.needs.a
    assert(a.i == 3 and math.type(a.i) == "integer" and a.f == 1.5 and a.b == false and a.l[2] == "y" and a.t.deep == "\xff")
    assert(not pcall(function() return a.nothing end))
  end },
  orch.job { name = "a", run = function() return { i = 3, f = 1.5, b = false, l = { "x", "y" }, t = { deep = "\xff" } } end } }]]
    assert.equal(0, result.code, result.all)
    assert.equal(2,
      run([[return orch.job { name = "a", run = function() return { f = print } end }]]).code)
    assert.equal(2, run([[return orch.job { name = "a", run = function() return 3 end }]]).code)
  end)

  it("take slots, and no more at once than there are", function()
    local text = [[local jobs = { resources = { gpu = 2 } }
for i = 1, 6 do jobs[i] = orch.job { name = "j" .. i, resources = { "gpu" }, run = function(job) say(job, "+") job:run "sleep 0.05" say(job, "-") end } end
return orch.pipeline(jobs)]]
    local function most()
      local now, top = 0, 0
      for _, word in ipairs(traced()) do
        now = now + (word == "+" and 1 or -1) top = math.max(top, now)
      end
      return top
    end
    assert.equal(0, run(text, "-j", "6").code)
    assert.equal(2, most())
    assert(fs.remove(trace))
    assert.equal(0, run(text, "-j", "1").code)
    assert.equal(1, most())
    local result =
      run [[return orch.pipeline { orch.job { name = "big", resources = { gpu = 2 }, run = just "x" } }]]
    assert.equal(2, result.code)
    assert.matches("takes 2 slots of 'gpu', which has 1", result.err)
  end)

  it("run one at a time in a serial group, in all runs of the project", function()
    local path = scratch:write("serial.lua", ([[
local orch = require "orch"
local function body(job) job:run "mkdir %s.d; sleep 0.02; rmdir %s.d; echo x >> %s" end
return orch.pipeline { orch.job { name = "a", serial = "deploy", run = body }, orch.job { name = "b", serial = "deploy", run = body } }]])
      :format(trace, trace, trace))
    local children = {}
    for i = 1, 4 do children[i] = scratch:start { "run", path, "-j", "2" } end
    for _, child in ipairs(children) do
      local text = {}
      for piece in child.read, child do text[#text + 1] = piece end
      assert.equal(0, assert(child:wait()).code, table.concat(text))
    end
    assert.equal(8, #traced())
  end)

  it("take no place from others while they wait for their turn, and end with the run that fails",
    function()
    local text = [[return orch.pipeline {
  orch.job { name = "a", serial = "deploy", run = function(job) job:run "sleep 0.3" say(job, "a") %s end },
  orch.job { name = "b", serial = "deploy", run = just "b" },
  orch.job { name = "c", serial = "deploy", needs = { a = "failed" }, run = just "c" },
  orch.job { name = "d", run = just "d" }, orch.job { name = "e", run = just "e" } }]]
    assert.equal(0, run(text:format "", "-j", "2").code)
    assert.same({ "d", "e", "a", "b" }, traced())
    assert(fs.remove(trace))
    local result = run(text:format 'job:run "false"', "-j", "2")
    assert.equal(1, result.code, result.all)
    assert.same({ "d", "e", "a", "c" }, traced())
    local ends = {}
    for _, job in ipairs(json.decode(scratch:orch({ "show", "--json" }).out).jobs) do
      ends[job.name] = job.state
    end
    assert.same({ a = "failed", b = "not_run", c = "success", d = "success", e = "success" }, ends)
  end)

  it("are tried again, with the reason, after longer and longer delays", function()
    local result =
      run [[return orch.job { name = "bad", retry = { attempts = 4, delay = "1ms" }, run = function(job)
  say(job, "try") job:run "false" end }]]
    assert.equal(1, result.code)
    assert.equal(4, #traced())
    assert(fs.remove(trace))
    local text =
      ([[return orch.job { name = "flaky", retry = { attempts = 4, delay = 0.02 }, run = function(job)
  say(job, "try") job:run "test $(wc -l < %s) -ge 3" end }]]):format(trace)
    result = run(text, "--format", "json")
    assert.equal(0, result.code, result.all)
    local delays = {}
    for line in result.out:gmatch("[^\n]+") do
      local each = json.decode(line)
      if each.type == "job.retry" then
        delays[#delays + 1] = each.delay
        assert.matches("exit code 1", each.reason)
      end
    end
    assert.same({ 0.02, 0.04 }, delays)
    local _, shown = states(2)
    assert.equal(3, shown.jobs[1].attempt)
  end)

  it("are tried again only for the kinds of errors that are named, never for mistakes", function()
    assert.equal(1,
      run([[return orch.job { name = "j", retry = { attempts = 3, delay = 0, on = { "net" } }, run = function(job) say(job, "x") orch.fail "no" end }]]).code)
    assert.equal(1, #traced())
    assert.equal(2,
      run([[return orch.job { name = "j", retry = { attempts = 3, delay = 0 }, run = function(job) say(job, "x") job:nothing() end }]]).code)
    assert.equal(2, #traced())
    assert.equal(2,
      run([[return orch.job { name = "j", retry = { attempts = 0 }, run = just "x" }]]).code)
    assert.equal(2,
      run([[return orch.job { name = "j", retry = { on = { "network" } }, run = just "x" }]]).code)
  end)

  it("have a time limit, and so have steps; what was put off is done", function()
    local result = run [[return orch.job { name = "j", timeout = "300ms", run = function(job)
  job:defer(just "deferred" and function() say(job, "deferred") end)
  job:run "sleep 20" end }]]
    assert.equal(8, result.code, result.all)
    assert.matches("the job took longer than 0.3 s", result.err)
    assert.same({ "deferred" }, traced())
    result = run [[return orch.job { name = "j", run = function(job)
  local good, problem = pcall(function() job:run { "sleep", "20", timeout = "100ms" } end)
  assert(not good and problem.kind == "timeout") say(job, "on") end }]]
    assert.equal(0, result.code, result.all)
    assert.same({ "deferred", "on" }, traced())
  end)

  it("put things off: in reverse order, when they say", function()
    local text = [[return orch.job { name = "j", run = function(job)
  job:defer(function() say(job, "always") end)
  job:defer(function() say(job, "fail") end, "on_fail")
  job:defer(function() say(job, "good") end, "on_success")
  job:run { when = "always", "echo step >> ]] .. "%s" .. [[" }
  job:run "%s" end }]]
    assert.equal(0, run(text:format(trace, "true")).code)
    assert.same({ "step", "good", "always" }, traced())
    assert(fs.remove(trace))
    assert.equal(1, run(text:format(trace, "false")).code)
    assert.same({ "step", "fail", "always" }, traced())
    assert.equal(2,
      run([[return orch.job { name = "j", run = function(job) job:defer(print, "sometimes") end }]]).code)
  end)

  it("do again on resume what was put off, when the body was", function()
    local text = [[return orch.job { name = "j", run = function(job)
  job:defer(function() say(job, "tidy") end)
  say(job, "first")
  job:run "test -e ]] .. scratch:path("ready") .. [[" end }]]
    assert.equal(1, run(text).code)
    assert.equal(1, resume("1").code)
    assert.same({ "first", "tidy", "tidy" }, traced())
    scratch:write("ready", "")
    assert.equal(0, resume("1").code)
    assert.same({ "first", "tidy", "tidy", "tidy" }, traced())
  end)

  it("end early as a success", function()
    local result = run [[return orch.pipeline { orch.job { name = "j", run = function(job)
  say(job, "one") job:group("g", function() job:halt() end) say(job, "two") end },
  orch.job { name = "k", needs = { "j" }, run = just "k" } }]]
    assert.equal(0, result.code, result.all)
    assert.same({ "one", "k" }, traced())
  end)

  it("add jobs while they run, and again on resume", function()
    local text = [[return orch.pipeline { orch.job { name = "a", run = function(job)
  say(job, "a")
  job:add_jobs { orch.job { name = "b", needs = { "a" }, run = just "b" },
    orch.job { name = "c", needs = { "b" }, matrix = { v = { 1, 2 } }, run = function(j) j:run "test -e ]] .. scratch:path("ready") .. [[" say(j, "c" .. j.matrix.v) end } }
end } }]]
    assert.equal(1, run(text, "-j", "1").code)
    assert.same({ "a", "b" }, traced())
    scratch:write("ready", "")
    local result = resume("1", "--why")
    assert.equal(0, result.code, result.all)
    assert.same({ "a", "b", "c1", "c2" }, sorted())
    for _,
      bad in ipairs { "orch.job { name = 'a', run = print }",
      "orch.job { name = 'x', needs = { 'nowhere' }, run = print }", "3" } do
      local refused =
        run(([[return orch.job { name = "a", run = function(job) job:add_jobs { %s } end }]]):format(bad))
      assert.equal(2, refused.code, refused.all)
      assert.matches("recipe.lua:4", refused.err, 1, true)
    end
  end)

  it("hand on the layers of the attempt that succeeded", function()
    local result = run([[return orch.pipeline {
  orch.job { name = "a", retry = { attempts = 2, delay = 0 }, run = function(job)
    job:run "test -e ]] .. scratch:path("second") .. [[ && touch good || touch bad"
    job:persist_to_workspace { paths = { "*" } }
    job:run "test -e ]] .. scratch:path("second") .. [[ || { touch ]] .. scratch:path("second") .. [[; exit 1; }" end },
  orch.job { name = "b", needs = { "a" }, run = function(job) job:attach_workspace "in" job:run "cd in; ls >> ]] .. trace .. [[" end } }]])
    assert.equal(0, result.code, result.all)
    assert.same({ "good" }, traced())
  end)

  it("are found wrong before anything runs", function()
    for _, each in ipairs {
      {
        [[orch.job { name = "a", needs = { "b" }, run = just "x" }, orch.job { name = "b", needs = { "a" }, run = just "x" }]], "in a circle" },
      { [[orch.job { name = "a", needs = { "bb" }, run = just "x" }]], "which is no job" },
      { [[orch.job { name = "a", run = just "x" }, orch.job { name = "a", run = just "x" }]],
        "two jobs are named 'a'" },
    } do
      local result = run("return orch.pipeline { " .. each[1] .. " }")
      assert.equal(2, result.code)
      assert.matches(each[2], result.err)
    end
    assert.same({}, traced())
    assert.is_nil(fs.stat(scratch:path("state/runs")))
  end)
end)
