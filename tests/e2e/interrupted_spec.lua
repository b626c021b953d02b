local fs = require "orch.fs"
local json = require "orch.json"
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
    for word in (fs.stat(trace) and fs.read(trace) or ""):gmatch("[^\n]+") do words[#words + 1] = word end
    return table.concat(words, " ")
  end

  local function run_and_kill(text, ...)
    local child = scratch:start { "run", recipe(text), ... }
    for _ = 1, 1000 do
      if fs.stat(go) then break end
      task.sleep(0.01)
    end
    assert(fs.stat(go), "it never came to its end")
    os.execute("kill -9 " .. scratch:pid_of(child))
    for _ in child.read, child do end
    child:wait()
  end

  local function resume(...) return scratch:orch { "resume", ... } end

  local function shown() return json.decode(scratch:orch({ "show", "--json" }).out) end

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
