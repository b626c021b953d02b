-- The docker executor when its daemon, its container, its connection or its disk fails under a
-- step.
local containers = require "e2e.containers"
local daemon = require "e2e.daemon"
local executor_suite = require "e2e.executor_suite"
local proc = require "orch.proc"
local processes = require "e2e.processes"
local support = require "e2e.support"
local task = require "orch.task"

if not support.services() then
  describe("a container of a job", function()
    it("fails on a real daemon", function() pending("no services: run tests/run.sh") end)
  end)
  return
end

local IMAGE <const> = "cimg/node:14.16.0"

-- Steps that tell in a file what they do; the second runs until it is ended, once.
local BODY <const> = [[
local orch = require "orch"
return orch.job { name = "job", executor = %s, run = function(job)
  job:run { "echo first >> effects", name = "first" }
  job:run { name = "second", environment = { MARKED = os.getenv("SPEC_MARK") }, [=[
    test ! -e again || { echo second >> effects; exit; }
    touch again; echo begun
    while :; do echo x >> beats; sleep 0.1; done
  ]=] }
  job:log("%%s", (job:read "effects":gsub("\n", " ")))
end }
]]

describe("a job in a container", function()
  local suite, own
  local function stop()
    if own then own:stop() end
    own = nil
  end
  after_each(function()
    suite:close()
    stop()
    containers.remove_left()
  end)

  -- A daemon of its own must have ended when the test is looked over.
  local function case(name, f)
    it(name, function()
      f()
      stop()
    end)
  end

  local function begin(executor, env)
    suite = executor_suite.new(executor or ('orch.docker { image = "%s" }'):format(IMAGE), env)
    suite.scratch:write("recipe.lua", BODY:format(suite.executor))
    suite.scratch.env.SPEC_MARK = suite.mark
    local child = suite.scratch:start { "run", suite.scratch:path("recipe.lua") }
    local text = ""
    while not text:find("   begun", 1, true) do
      text = text .. (child:read() or error("it has ended: " .. text))
    end
    return child
  end

  -- How it ended, within so many seconds.
  local function finish(child, code, seconds, ...)
    local begun, text = task.clock(), ""
    for piece in child.read, child do text = text .. piece end
    assert.equal(code, assert(child:wait()).code, text)
    assert.is_true(task.clock() - begun < seconds, text)
    for _, words in ipairs { ... } do assert.matches(words, text, 1, true) end
    return text
  end

  local function runs() return #processes.marked("MARKED=" .. suite.mark) > 0 end

  local function nothing_runs()
    assert.is_true(processes.wait_until(function() return not runs() end))
  end

  local function resume(...)
    local result = suite.scratch:orch { "resume", "1" }
    assert.equal(0, result.code, result.all)
    for _, words in ipairs { "first  (done before)", "   first second", ... } do
      assert.matches(words, result.out, 1, true)
    end
    return result
  end

  case("whose daemon is killed says so, and goes on when it is there again", function()
    own = daemon.start { images = { IMAGE } }
    local child = begin(nil, own:env())
    own:kill()
    finish(child, 4, 20, "is lost: ", "is the daemon running? When it is, `orch resume 1` goes on")
    local result = suite.scratch:orch { "resume", "1" }
    assert.equal(4, result.code, result.all)
    own:again()
    resume "had stopped, and is started again"
    nothing_runs()
  end)

  case("whose daemon is replaced under it has its step ended before it is done again", function()
    own = daemon.start { images = { IMAGE }, config = '{ "live-restore": true }' }
    local child = begin(nil, own:env())
    own:kill()
    finish(child, 4, 20, "is lost: ")
    own:again()
    assert.is_true(runs()) -- as live-restore has it
    resume "goes on in container"
    nothing_runs()
  end)

  case("whose daemon hangs is given up", function()
    own = daemon.start { images = { IMAGE } }
    local child = begin(nil, own:env())
    own:kill "STOP"
    finish(child, 8, 150, "no sign of life for 60 s; is its daemon alive?")
    own:kill "CONT"
    resume "goes on in container"
  end)

  case("that is removed under it goes on in another", function()
    local child = begin()
    containers.docker("rm", "-f",
      (containers.docker("ps", "-aq", "--filter", "label=orch.run"):gsub("%s", "")))
    -- as far as the Engine is with it when it is asked
    assert.matches("orch: .*container %x+ %a+ [er]%a*ed",
      finish(child, 4, 20, "; `orch resume 1` then goes on"))
    resume "the container is lost, its volumes are there"
  end)

  -- A program of tests/e2e/servers.py between orch and the daemon.
  local function between(what, f)
    local socket = os.getenv("DOCKER_HOST"):gsub("^unix://", "")
    local server <close> =
      assert(proc.start { argv = { "/usr/bin/python3", support.root .. "/tests/e2e/servers.py",
      what,
      socket } })
    f { DOCKER_HOST = "tcp://127.0.0.1:" .. assert(server:read()):match("%d+") }
    server:cancel()
    server:wait()
  end

  case("whose connection breaks has its step's exit code from the container", function()
    between("cut", function(env)
      suite = executor_suite.new(('orch.docker { image = "%s" }'):format(IMAGE), env)
      local result = suite:good [[
        assert(job:run "echo said; exit 0".code == 0)
        assert(job:run "echo more; exit 0".code == 0)
        job:sleep(0.5)
        assert(#job.fs.list("/.orch") == 1) -- word of its end is not left
      ]]
      assert.matches("the connection to its programs was lost; the end of this output may be missing", result.out, 1, true)
    end)
    between("cut", function(env)
      suite:close()
      suite = executor_suite.new(('orch.docker { image = "%s" }'):format(IMAGE), env)
      local result = suite:recipe [[job:run { "echo said; exit 0", capture = true }]]
      assert.equal(4, result.code, result.all)
      assert.matches("the connection to its programs was lost", result.err, 1, true)
    end)
  end)

  case("whose connection is garbled has its step ended", function()
    between("garble", function(env)
      suite = executor_suite.new(('orch.docker { image = "%s" }'):format(IMAGE), env)
      suite.scratch.env.SPEC_MARK = suite.mark
      local result = suite:recipe [[
        job:run { "echo first >> effects", name = "first" }
        job:run { name = "second", environment = { MARKED = os.getenv("SPEC_MARK") },
          "test -e again || { touch again; echo please garble; sleep 1000; }; echo second >> effects" }
        job:log("%s", (job:read "effects":gsub("\n", " ")))
      ]]
      assert.equal(4, result.code, result.all)
      assert.matches("junk", result.err)
      assert.is_false(runs())
      resume "goes on in container"
    end)
  end)

  case("that takes more memory than it may says so, and is resumed", function()
    suite =
      executor_suite.new(('orch.docker { image = "%s", resources = { memory = "64m" } }'):format(IMAGE))
    local result = suite:recipe [[
      job:run { "echo first >> effects", name = "first" }
      job:run { "test -e again || { touch again; exec tail /dev/zero; }; echo second >> effects", name = "second" }
      job:log("%s", (job:read "effects":gsub("\n", " ")))
    ]]
    assert.equal(8, result.code, result.all)
    assert.matches(": ended by signal 9: out of memory", result.err, 1, true)
    assert.matches("resources = { memory = … }", result.err, 1, true)
    resume "goes on in container"
  end)
end)
