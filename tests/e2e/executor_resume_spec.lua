local containers = require "e2e.containers"
local executor_suite = require "e2e.executor_suite"
local support = require "e2e.support"
local task = require "orch.task"

if not support.services() then
  describe("a job in a container, resumed,", function()
    it("runs on a real daemon", function() pending("no services: run tests/run.sh") end)
  end)
  return
end

local docker = containers.docker

local KILLS <const> = 10

-- Fails once; the second time it must find what the first has left.
local BODY <const> = [[
  job:run { "echo kept > kept; echo changed > ~/changed; echo $(hostname) >> hosts", name = "first" }
  job:write { path = "/tmp/ecr/vars", text = "kept" }
  job:run { "test -e again || { touch again; exit 5; }", name = "second" }
  assert(job:read "kept" == "kept\n" and job:read "/tmp/ecr/vars" == "kept")
  job:run { "test -e ~/changed", name = "third", check = %s }
]]

describe("a job in a container, resumed,", function()
  local suite
  before_each(function()
    suite = executor_suite.new 'orch.docker { image = "cimg/node:14.16.0" }'
  end)
  after_each(function()
    suite:close()
    containers.remove_left()
  end)

  local function container()
    return (docker("ps", "-aq", "--filter", "label=orch.run"):gsub("%s", ""))
  end

  local function fail_once(check)
    local result = suite:recipe(BODY:format(check))
    assert.equal(1, result.code, result.all)
    assert.matches("kept for `orch resume 1`", result.out, 1, true)
    local id = assert(result.out:match("container (%x+) and its volumes are kept"), result.out)
    assert.matches("look into it with: orch shell 1 job", result.out, 1, true)
    assert.not_equal("", container())
    assert.matches("hosts", docker("exec", id, "ls")) -- in the working directory, while it runs
  end

  local function resume(words, first)
    local result = suite.scratch:orch { "resume", "1" }
    assert.equal(0, result.code, result.all)
    assert.matches(words, result.out, 1, true)
    assert.equal(first, result.out:find("first  (done before)", 1, true) ~= nil, result.out)
    assert.same({}, containers.left())
  end

  it("goes on in its container", function()
    fail_once "true"
    resume("goes on in container", true)
  end)

  it("goes on in its container, and tells of that one's image, when the name has come to mean another",
    function()
    local id = docker("image", "inspect", "-f", "{{.Id}}", "cimg/node:14.16.0"):match("%S+")
    docker("tag", "cimg/node:14.16.0", "executor-spec:moved")
    suite.executor = 'orch.docker { image = "executor-spec:moved" }'
    fail_once "true"
    docker("tag", "busybox:1.36", "executor-spec:moved")
    resume("goes on in container", true)
    docker("rmi", "executor-spec:moved")
    local shown = suite.scratch:orch { "show", "--json", "1" }
    local used = require "orch.json".decode(shown.out).materials.base_images
    assert.same({ "executor", id }, { used[#used].used, used[#used].id })
  end)

  it("goes on in its container after that was stopped", function()
    fail_once "true"
    docker("kill", container())
    resume("had stopped, and is started again", true)
  end)

  it("goes on in another container on its volumes, and says what is gone", function()
    fail_once "false"
    docker("rm", "-f", container())
    resume("what steps have changed outside of /home/circleci/project and /tmp is gone", true)
  end)

  it("waits for the steps of a session that was killed to be over", function()
    suite.scratch:write("recipe.lua", [[
local orch = require "orch"
return orch.job { name = "job", executor = orch.docker { image = "cimg/node:14.16.0" }, run = function(job)
  job:run [=[
    if test -e begun; then test -e over; exit; fi
    trap "sleep 2; touch over; exit" TERM
    touch begun; echo begun
    while :; do sleep 0.1; done
  ]=]
end }
]])
    local child = suite.scratch:start { "run", suite.scratch:path("recipe.lua") }
    local text = ""
    while not text:find("   begun", 1, true) do
      text = text .. (child:read() or error("it has ended: " .. text))
    end
    os.execute("kill -9 " .. suite.scratch:pid_of(child))
    child:wait()
    local result = suite.scratch:orch { "resume", "1" }
    assert.equal(0, result.code, result.all)
  end)

  it("is told when its container dies under a step", function()
    suite.scratch:write("recipe.lua", [[
local orch = require "orch"
return orch.job { name = "job", executor = orch.docker { image = "cimg/node:14.16.0" }, run = function(job)
  job:run "test -e begun || { touch begun; echo begun; sleep 1000; }"
end }
]])
    local child = suite.scratch:start { "run", suite.scratch:path("recipe.lua") }
    local text = ""
    while not text:find("   begun", 1, true) do
      text = text .. (child:read() or error("it has ended: " .. text))
    end
    docker("kill", container())
    for piece in child.read, child do text = text .. piece end
    assert.equal(4, assert(child:wait()).code, text)
    assert.matches("container " .. container() .. " has ended (exit code 137)", text, 1, true)
    assert.matches("`orch resume 1` then goes on", text, 1, true)
    resume("had stopped, and is started again", false)
  end)

  it("begins anew when its volumes are lost", function()
    suite.executor = 'orch.docker { image = "cimg/node:14.16.0" }'
    local result = suite:recipe [[
      job:run { "echo kept > kept", name = "first" }
      job:persist_to_workspace { root = ".", paths = { "kept" } }
      job:run { os.getenv("SPEC_FAIL") and "exit 5" or "test -e kept", name = "second" }
    ]]
    assert.equal(0, result.code, result.all)
    result = suite.scratch:orch({ "run", suite.scratch:path("recipe.lua") }, { SPEC_FAIL = "1" })
    assert.equal(1, result.code, result.all)
    docker("rm", "-f", "-v", container())
    for name in docker("volume", "ls", "-q", "--filter", "label=orch.run"):gmatch("%S+") do
      docker("volume", "rm", name)
    end
    result = suite.scratch:orch { "resume", "2" }
    assert.equal(0, result.code, result.all)
    assert.matches("the job's files are lost: it begins anew", result.out, 1, true)
    assert.is_nil(result.out:find("(done before)", 1, true))
    assert.same({}, containers.left())
  end)

  it("leaves nothing of an attempt that was followed by another", function()
    suite:good([[
      job:run "test ! -e seen; touch seen"
      if not os.getenv("NEVER") and job.place == "job" then orch.fail("the first attempt") end
    ]], nil, nil, "retry = { attempts = 2, delay = 0.1 },")
    assert.same({}, containers.left())
  end)

  it("is ended with all that it made by orch discard, also when it was killed", function()
    suite.scratch:write("recipe.lua", [[
local orch = require "orch"
return orch.job { name = "job", executor = orch.docker { image = "cimg/node:14.16.0",
  services = { { image = "busybox:1.36", name = "other", command = "exec sleep 1000" } } }, run = function(job)
  job:run "echo begun; sleep 1000"
end }
]])
    local child = suite.scratch:start { "run", suite.scratch:path("recipe.lua") }
    local text = ""
    while not text:find("   begun", 1, true) do
      text = text .. (child:read() or error("it has ended: " .. text))
    end
    assert(require "orch.proc".run { argv = { "kill", "-KILL", suite.scratch:pid_of(child) } })
    child:wait()
    assert.equal(6, #containers.left())
    local result = suite.scratch:orch { "gc", "--keep", "0", "--days", "0" }
    assert.matches("nothing to remove", result.out, 1, true) -- interrupted is not given up
    result = suite.scratch:orch { "discard", "1" }
    assert.equal(0, result.code, result.all)
    assert.same({}, containers.left())
    result = suite.scratch:orch { "resume", "1" }
    assert.equal(6, result.code, result.all)
  end)

  it("repeats nothing that is recorded and loses nothing, at random deaths", function()
    math.randomseed(os.time())
    suite.scratch:write("recipe.lua", [[
local orch = require "orch"
return orch.job { name = "job", executor = orch.docker { image = "cimg/node:14.16.0",
  services = { { image = "busybox:1.36", name = "other", command = "exec sleep 1000" } } }, run = function(job)
  for i = 1, 8 do job:run { name = "step" .. i, "sleep 0.05; echo " .. i .. " >> effects; sleep 0.05" } end
  job:log("%s", (job:read "effects":gsub("\n", " ")))
end }
]])
    local kills, said = 0, nil
    while true do
      local child = suite.scratch:start(kills == 0 and { "run", suite.scratch:path("recipe.lua") }
        or { "resume", "1" })
      local mortal = kills < KILLS and suite.scratch:pid_of(child)
      local text = {}
      if mortal then
        if kills == 0 then text[1] = child:read() end -- it is on record
        task.sleep(math.random() * 3)
        os.execute("kill -9 " .. mortal .. " 2>/dev/null")
        kills = kills + 1
      end
      for piece in child.read, child do text[#text + 1] = piece end
      local code = assert(child:wait())
      text = table.concat(text)
      said = text:match("   (1[%d ]+)") or said
      if not code.signal then
        -- or died after that
        assert.is_true(code.code == 0 or text:find("run 1 is done", 1, true) ~= nil, text)
        break
      end
    end
    -- a step that was killed between its effect and its record is done again, never one that was
    -- recorded
    local last = 0
    for number in said:gmatch("%d") do
      number = tonumber(number)
      assert.is_true(number == last or number == last + 1, said)
      last = number
    end
    assert.equal(8, last)
    assert.same({}, containers.left())
  end)
end)
