local db = require "orch.db"
local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"
local task = require "orch.task"

describe("a run, from another process,", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  local function recipe(body, head)
    return scratch:write("recipe.lua", ([[
local orch = require "orch"
return orch.pipeline { %s orch.job { name = "j", run = function(job)
%s
end } }]]):format(head or "", body))
  end

  local function run(body, ...) return scratch:orch { "run", recipe(body), ... } end

  local function orch(...) return scratch:orch { ... } end

  local function list() return json.decode(orch("runs", "--json").out) end

  -- Starts a run and waits until the step after its first is on record, as another process sees it.
  local function start(body, head)
    local child = scratch:start { "run", recipe("job:run 'echo begun'\n" .. body, head) }
    for _ = 1, 300 do
      local shown = orch("show", "--json")
      if shown.code == 0 and #json.decode(shown.out).steps >= 2 then return child end
      task.sleep(0.02)
    end
    error("it never began")
  end

  local function finish(child)
    local text = {}
    for piece in child.read, child do text[#text + 1] = piece end
    return assert(child:wait()), table.concat(text)
  end

  it("begins nothing when its recipe cannot be loaded", function()
    local broken = scratch:write("broken.lua", "return nothing.there")
    assert.equal(2, orch("run", broken).code)
    assert.is_nil(fs.stat(scratch:path("state")))
    assert.equal(0, run("").code)
    local result = orch("run", broken)
    assert.equal(2, result.code)
    assert.truthy(result.err:find("broken.lua:1", 1, true), result.err)
    assert.equal(1, #list())
  end)

  local function ends(code, child)
    local result, printed = finish(child)
    assert.equal(code, result.code, printed)
  end

  it("tells where the files of a job are that did not succeed, as long as they are there",
    function()
    assert.equal(1, run("job:write { path = 'f', text = 'x' } job:run 'exit 1'").code)
    local dir = assert(orch("show").out:match("\n  its files: (%S+)\n"))
    assert.equal("x", fs.read(dir .. "/f"))
    assert.equal(dir, json.decode(orch("show", "--json").out).jobs[1].dir)
    orch("discard", "1")
    assert.is_nil(orch("show", "1").out:find("its files", 1, true))
    assert.equal(0, run("job:write { path = 'f', text = 'x' }").code)
    assert.is_nil(orch("show").out:find("its files", 1, true))
  end)

  it("is seen, shown, followed and cancelled while it is live", function()
    local child = start [[job:run "echo one; sleep 0.3; echo two; sleep 30"]]
    assert.equal("live", list()[1].state)
    local shown = json.decode(orch("show", "--json").out)
    assert.same({ "running", "success", "running" },
      { shown.jobs[1].state, shown.steps[1].state, shown.steps[2].state })
    for _,
      command in ipairs { { "resume", "1" }, { "discard", "1" }, { "rerun", "1", "--failed" } } do
      local refused = scratch:orch(command)
      assert.equal(6, refused.code, refused.all)
      assert.matches("run 1 is live", refused.err)
    end
    assert.matches("nothing to remove", orch("gc", "--keep", "0", "--days", "0").out)
    local follower = scratch:start { "logs", "1", "j", "--follow" }
    local text = ""
    while not text:find("two\n", 1, true) do text = text .. assert(follower:read(), text) end
    assert.matches("begun\n.*one\ntwo\n", text)
    local cancelled = orch("cancel", "1", "--json")
    assert.same({ number = 1, state = "cancelled" }, json.decode(cancelled.out))
    ends(143, child)
    ends(0, follower)
    assert.equal("cancelled", list()[1].state)
    assert.equal(6, orch("cancel", "1").code)
  end)

  it("names the jobs that wait for their turn, also those that were added", function()
    local child =
      start([[job:add_jobs { orch.job { name = "added", needs = { "j" }, run = function() end } }
job:run "sleep 30"]], [[orch.job { name = "x", needs = { "y" }, run = function() end },
orch.job { name = "y", needs = { "j" }, run = function() end },]])
    local function states()
      local seen = {}
      for i, job in ipairs(json.decode(orch("show", "--json").out).jobs) do
        seen[i] = job.name .. " " .. job.state
      end
      return table.concat(seen, ", ")
    end
    for _ = 1, 100 do
      if states():find("added", 1, true) then break end
      task.sleep(0.02)
    end
    assert.equal("j running, y waiting, x waiting, added waiting", states())
    assert.matches("\n\nx  waiting\n", orch("show").out)
    os.execute("kill -9 " .. scratch:pid_of(child))
    finish(child)
    assert.equal("j interrupted, y waiting, x waiting, added waiting", states())
  end)

  it("is interrupted when it was killed; gc leaves it, resume goes on with it, discard gives it up",
    function()
    local child = start [[job:run "sleep 30"]]
    os.execute("kill -9 " .. scratch:pid_of(child))
    finish(child)
    assert.equal("interrupted", list()[1].state)
    assert.matches("nothing to remove", orch("gc", "--keep", "0", "--days", "0").out)
    recipe "job:run 'echo begun'\njob:run 'echo on'"
    local resumed = orch("resume", "--why")
    assert.equal(0, resumed.code, resumed.all)
    assert.matches("recipe.lua has changed since the run began\n +%- job:run \"sleep 30\"\n +%+ job:run 'echo on'\n", resumed.all)
    assert.matches("called with other options", resumed.all)
    for _, each in ipairs { { "resume", "1" }, { "discard", "1" } } do
      local refused = scratch:orch(each)
      assert.equal(6, refused.code, refused.all)
    end
    run "job:run 'exit 1'"
    assert.equal(0, orch("discard", "2").code)
    assert.is_nil(fs.stat(scratch:path("state/runs/2/jobs")))
    assert.equal("discarded", list()[1].state)
    assert.matches("discarded", orch("resume", "2").err)
    assert.equal(5, orch("resume").code)
    recipe "job:run 'true'"
    assert.equal(0, orch("rerun", "1").code)
    assert.matches("removed run 2", orch("gc", "--keep", "0", "--days", "0").out)
    assert.same({}, list())
  end)

  it("is resumed from a step on", function()
    local function body(word) return ([[
job:run { name = "first", "echo first >> trace" }
job:group("a group", function() job:run { name = "second", "echo second >> trace" } job:run { name = "third", "echo third >> trace" } end)
job:run { name = "last", "test -e %s" }
job:run "cp trace %s"]]):format(scratch:path(word), scratch:path("trace")) end
    run(body "ready")
    local missing = orch("resume", "1", "--from", "secnod")
    assert.equal(5, missing.code)
    assert.matches("did you mean 'second'", missing.err)
    scratch:write("ready", "")
    local result = orch("resume", "1", "--from", "second", "--why")
    assert.equal(0, result.code, result.all)
    assert.matches("--from asks for it", result.all, 1, true)
    assert.equal("first\nsecond\nthird\nsecond\nthird\n", fs.read(scratch:path("trace")))
  end)

  it("is resumed from a step of the job that is named", function()
    local path = scratch:write("two.lua", ([[
local orch = require "orch"
local function job(name, needs) return orch.job { name = name, needs = needs, run = function(job)
  job:run { name = "one", "echo " .. name .. 1 .. " >> TRACE" }
  job:run { name = "two", "echo " .. name .. 2 .. " >> TRACE; " .. (needs and "false" or ":") } end } end
return orch.pipeline { job "a", job("b", { "a" }) }]]):gsub("TRACE", scratch:path("trace")))
    assert.equal(1, orch("run", path).code)
    local several = orch("resume", "1", "--from", "one")
    assert.equal(2, several.code, several.all)
    assert.matches("several jobs have a step 'one'\n.*say whose: %-%-from a/one, or b/one\n",
      several.err)
    for from, words in pairs { ["a/two"] = "a2 b1 b2", ["b/run#2"] = "b2", a = "a1 a2 b1 b2" } do
      scratch:write("trace", "")
      assert.equal(1, orch("resume", "1", "--from", from).code)
      assert.equal(words, (fs.read(scratch:path("trace")):gsub("\n$", ""):gsub("\n", " ")))
    end
  end)

  it("is done again as a new one, wholly or where it failed", function()
    local path = scratch:write("two.lua", ([[
local orch = require "orch"
return orch.pipeline { params = { tags = "list", n = { "integer", default = 1 } },
  orch.job { name = "good", run = function(job)
    job:run "echo good >> %s"
    job:write { path = "f", text = table.concat(job.params.tags, "+") }
    job:persist_to_workspace { paths = { "f" } }
    return { n = job.params.n }
  end },
  orch.job { name = "bad", needs = { "good" }, run = function(job)
    job:attach_workspace "."
    job:run("test -e %s; echo $(cat f) " .. job.needs.good.n .. " >> %s")
  end },
  orch.job { name = "after", needs = { "bad" }, run = function(job) job:run "echo after >> %s" end } }]])
      :format(scratch:path("trace"), scratch:path("ready"), scratch:path("trace"),
        scratch:path("trace")))
    assert.equal(1, orch("run", path, "tags=x,y", "n=7").code)
    scratch:write("ready", "")
    local again = orch("rerun", "1", "--failed")
    assert.equal(0, again.code, again.all)
    assert.equal("good\nx+y 7\nafter\n", fs.read(scratch:path("trace")))
    assert.equal(0, orch("rerun", "2").code)
    assert.equal("good\nx+y 7\nafter\ngood\nx+y 7\nafter\n", fs.read(scratch:path("trace")))
    assert.equal(2, orch("rerun", "2", "--failed").code)
    local shown = json.decode(orch("show", "2", "--json").out)
    assert.same({ 1, "success" }, { shown.rerun_of, shown.jobs[1].state })
    assert.same({ tags = { "x", "y" }, n = 7 }, shown.params)
    -- the old run may go: the new one has the files
    assert.equal(0, orch("gc", "--keep", "1", "--days", "0").code)
    assert.equal(1, #list())
    local index = json.decode(fs.read(scratch:path("state/store/index.json")))
    assert.equal(1, #index.manifests)
    assert.equal(3, #fs.list(scratch:path("state/store/blobs/sha256")))
  end)

  it("names what it was made of", function()
    local project = scratch:project { f = "f" }
    local path = recipe([[job:checkout() job:log("%s", job.pipeline.git.revision)
assert(job.pipeline.git.tag == nil)
job:persist_to_workspace { paths = { "f" } }]], 'params = { who = { "string", default = "me" } },')
    assert.equal(0, orch("run", path, "--project", project).code)
    local made = json.decode(orch("show", "--json", "--project", project).out).materials
    assert.equal(2, #made.commits)
    assert.equal(made.commits[1].revision, made.commits[2].revision)
    assert.matches("^%x+$", made.commits[1].revision)
    assert.same({ who = "me" }, made.params)
    assert.matches("^sha256:%x+$", made.layers[1].digest)
    assert.matches("^%d+%.%d+", made.tools.orch)
    local sum = assert(proc.run { argv = { "sha256sum", path } }).stdout:match("^%x+")
    assert.same({ path = path, digest = "sha256:" .. sum }, made.recipe)
  end)

  it("is one of twenty at once: no number twice, no hole, no damage", function()
    local path =
      recipe [[job:log("number %d", job.pipeline.number) job:run "true" job:write { path = "f", text = "x" }
job:persist_to_workspace { paths = { "f" } }]]
    local children, seen = {}, {}
    for i = 1, 20 do children[i] = scratch:start { "run", path } end
    for _ = 1, 10 do orch("runs", "--json") end
    for _, child in ipairs(children) do
      local result, text = finish(child)
      assert.equal(0, result.code, text)
      seen[tonumber(text:match("number (%d+)"))] = true
    end
    for i = 1, 20 do assert.is_true(seen[i], "number " .. i) end
    local base = db.open(scratch:path("state/orch.db"))
    assert.equal("ok", base:exec("PRAGMA integrity_check")[1].integrity_check)
    assert.equal(20, base:exec("SELECT count(*) AS n FROM runs WHERE state = 'success'")[1].n)
    base:close()
    assert.equal(20, #json.decode(fs.read(scratch:path("state/store/index.json"))).manifests)
    assert.same({}, scratch:leftovers(true))
  end)

  it("keeps the values of the pipeline that it was given", function()
    local path =
      recipe [[job:log("%d %s %s", job.pipeline.number, job.pipeline.git.tag, tostring(job.pipeline.git.branch))
job:run("test -e ready # " .. job.pipeline.number .. job.pipeline.git.revision)]]
    assert.matches("7 v1 nil", orch("run", path, "pipeline.git.tag=v1", "pipeline.number=7").out, 1,
      true)
    assert.matches("7 v1 nil", orch("resume", "1").out, 1, true)
    assert.matches("7 v1 nil", orch("rerun", "1").out, 1, true)
    local wrong = orch("run", path, "pipeline.git.tga=v1")
    assert.equal(2, wrong.code)
    assert.matches("did you mean 'pipeline.git.tag'?", wrong.err, 1, true)
    assert.matches("# 7‹pipeline.git.revision›", orch("plan", path, "pipeline.number=7").out, 1,
      true)
  end)
end)
