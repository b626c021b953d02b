-- orch itself is stopped for a while (SIGSTOP, as a debugger does), and its steps go on.
local processes = require "e2e.processes"
local servers = require "engine.servers.servers"
local support = require "e2e.support"
local task = require "orch.task"

local STOPPED_SECONDS <const> = 3.5

local RECIPE <const> = [[
local orch = require "orch"
local function job(name, run, timeout) return orch.job { name = name, run = run, timeout = timeout } end
return orch.pipeline {
  job("a", function(job) job:run "touch DIR/begun; sleep 1; echo done" end, "2s"),
  job("b", function(job) job:run { "sh", "-c", "sleep 1; echo done", timeout = 2 } end),
  job("c", function(job)
    job:run { "for i in 1 2 3 4 5 6; do echo $i; sleep 0.5; done", no_output_timeout = "2s" }
  end),
  job("d", function(job) orch.timeout(2, function() job:run "sleep 1" end) end),
  job("e", function(job)
    assert(job:http { url = "URL/chunked?count=2&pause=0.5", timeout = 2 }.status == 200)
  end),
}]]

describe("orch that was stopped", function()
  local scratch, child
  before_each(function() scratch = support.scratch() end)
  after_each(function()
    child:cancel()
    child:wait()
    scratch:remove()
  end)

  local function begin(text, ...)
    text = text:gsub("DIR", scratch.dir)
    child = scratch:start { "run", scratch:write("recipe.lua", text), ... }
    local begun = scratch:path("begun")
    assert.is_true(processes.wait_until(function() return io.open(begun) ~= nil end))
  end

  local function signal(name) os.execute(("kill -%s %s"):format(name, scratch:pid_of(child))) end

  it("takes nothing for late that ended in time meanwhile", function()
    local server <close> = servers.http()
    begin((RECIPE:gsub("URL", server.url)), "-j", "5")
    signal "STOP"
    task.sleep(STOPPED_SECONDS)
    signal "CONT"
    local printed = {}
    for piece in child.read, child do printed[#printed + 1] = piece end
    local result = assert(child:wait())
    assert.equal(0, result.code, table.concat(printed))
  end)

  it("takes nothing for late when it was at work, and did not wait, just then", function()
    child = scratch:start { "lua", scratch:write("stops.lua", [[
      local orch, proc, task = require "orch", require "orch.proc", require "orch.task"
      local this <const> = io.open("/proc/self/stat"):read "n"
      task.spawn(function()
        proc.start { argv = { "sh", "-c", "sleep 2.5; kill -CONT " .. this } }
        proc.kill(this, 19)
      end)
      orch.timeout(1, function() task.sleep(0.5) end)]]) }
    assert.equal(0, assert(child:wait()).code)
  end)

  it("leaves nothing running when it is killed then", function()
    local mark = "ORCH_STOPPED_MARK=" .. scratch.dir
    begin [[return require "orch".job { name = "a", run = function(job)
      job:run { "touch DIR/begun; sleep 60 & setsid sleep 60 & wait", environment = { ORCH_STOPPED_MARK = "DIR" } }
    end }]]
    assert.is_true(#processes.marked(mark) > 0)
    signal "STOP"
    signal "KILL"
    assert.is_true(processes.wait_until(function() return #processes.marked(mark) == 0 end))
  end)
end)
