local containers = require "e2e.containers"
local executor_suite = require "e2e.executor_suite"
local fs = require "orch.fs"
local proc = require "orch.proc"
local support = require "e2e.support"

if not support.services() then
  describe("services of a job", function()
    it("run on a real daemon", function() pending("no services: run tests/run.sh") end)
  end)
  return
end

local WEB <const> =
  [[command = "mkdir /www; echo hello > /www/index.html; sleep 0.5; exec httpd -f -p 8080 -h /www"]]

local function executor(services)
  return ('orch.docker { image = "cimg/node:14.16.0", services = { %s } }'):format(services)
end

describe("services of a job", function()
  local suite
  before_each(function() suite = executor_suite.new(executor "") end)
  after_each(function()
    suite:close()
    containers.remove_left()
  end)

  it("are reached by their names, once they are ready, and are gone afterwards", function()
    suite.executor = executor(([[
      { image = "busybox:1.36", name = "web", %s, health = { port = 8080 } },
      { image = "alpine:3.19", name = "slow", command = "sleep 1; touch /up; exec sleep 1000", health = "test -e /up" },
      { image = "busybox:1.36", command = { "sleep", "1000" }, environment = { A = "b" } },
      { image = "busybox:1.36", name = "own", command = "exec sleep 1000", health = { "true" } }
    ]]):format(WEB))
    local result = suite:good [[
      job:run "busybox wget -qO- http://web:8080/ | grep hello"
      job:run "busybox nslookup slow; busybox nslookup busybox"
      assert(job.proc.probe("web", 8080, 2))
      job:run { "sleep 1000", background = true, ready = { http = "http://web:8080/", timeout = 5 } }
    ]]
    for _, name in ipairs { "web", "slow", "busybox", "own" } do
      assert.matches("service " .. name .. " is ready", result.out, 1, true)
    end
    assert.same({}, containers.left())
  end)

  it("are ready by what their images say of them, a check before a port", function()
    local function image(name, lines)
      local argv = { "docker", "build", "-q", "-t", name, "-" }
      local input = "FROM busybox:1.36\n" .. lines
      assert(assert(proc.run { argv = argv, input = input }).code == 0)
    end
    image("x/exposing:1", 'EXPOSE 53/udp 9000 8080\n'
      .. 'CMD ["sh", "-c", "mkdir /www; sleep 0.7; exec httpd -f -p 8080 -h /www"]\n')
    image("x/checking:1", "EXPOSE 81\nHEALTHCHECK --interval=30s CMD test -e /up\n"
      .. 'CMD ["sh", "-c", "sleep 0.7; touch /up; exec sleep 1000"]\n')
    suite.executor = executor '{ image = "x/exposing:1" }, { image = "x/checking:1" }'
    suite:good [[
      assert(job.proc.probe("exposing", 8080, 1))
      assert(not job.proc.probe("checking", 81, 1))
    ]]
    containers.docker("rmi", "x/exposing:1", "x/checking:1")
  end)

  it("tell what they printed when they end or are not ready in time", function()
    suite.executor =
      executor [[{ image = "busybox:1.36", name = "broken", command = "echo cannot start; exit 6" }]]
    local result = suite:recipe ""
    assert.equal(1, result.code, result.all)
    assert.matches("service 'broken' %(busybox:1.36%) ended with exit code 6", result.err)
    local function times(text, words) return select(2, text:gsub(words, "")) end
    assert.equal(1, times(result.err:match("[^\n]+"), "service 'broken'"), result.err)
    assert.equal(1, times(result.out, "   cannot start"), result.out)
    assert.equal(0, suite.scratch:orch({ "discard", "1" }).code)

    suite.executor =
      executor [[{ image = "busybox:1.36", name = "silent", command = "echo waiting; exec sleep 1000",
      health = { port = 81 }, timeout = 1 }]]
    result = suite:recipe ""
    assert.equal(8, result.code, result.all)
    assert.matches("service 'silent' %(busybox:1.36%) was not ready within 1 s", result.err)
    assert.matches("waiting", result.all)
    assert.equal(0, suite.scratch:orch({ "discard", "2" }).code)

    suite.executor =
      executor [[{ image = "busybox:1.36", name = "ill", command = "exec sleep 1000", timeout = 4,
      health = "echo no table yet; exit 4" }]]
    result = suite:recipe ""
    assert.equal(8, result.code, result.all)
    assert.matches("not ready within 4 s; its health check ends with exit code 4: no table yet",
      result.err, 1, true)
    assert.equal(0, suite.scratch:orch({ "discard", "3" }).code)
    assert.same({}, containers.left())
  end)

  it("are told of at once when they die under the steps, and in the error of what fails then",
    function()
    suite.executor = executor [[{ image = "busybox:1.36", name = "dying", health = "test -e /up",
      command = "echo serving; touch /up; nc -l -p 81; echo cannot go on; exit 6" }]]
    local result = suite:recipe [[
      job:run { name = "ask", "test -e asked || { touch asked; busybox nc dying 81 < /dev/null || true; sleep 2; echo asked; exit 5; }" }
    ]]
    assert.equal(1, result.code, result.all)
    local words = "service 'dying' (busybox:1.36) ended with exit code 6"
    assert.matches(words:gsub("%p", "%%%0")
      .. "; the last that it has printed:.*   serving.*   cannot go on.*   asked",
      result.out) -- before the step has ended
    assert.matches("exit code 5; " .. words, result.err, 1, true)
    result = suite.scratch:orch { "resume", "1" }
    assert.equal(0, result.code, result.all)
    assert.same({}, containers.left())
  end)

  it("stay with a job that failed, with their logs beside the job's", function()
    suite.executor =
      executor(('{ image = "busybox:1.36", name = "web", %s, health = { port = 8080 } }'):format(WEB))
    local result = suite:recipe [[
      job:run "busybox wget -qO- http://web:8080/missing || test -e again || { touch again; exit 5; }"
    ]]
    assert.equal(1, result.code, result.all)
    assert.truthy(fs.stat(suite.scratch:path("state/runs/1/logs/job-web.log")))
    local before = containers.left()
    assert.equal(6, #before) -- two containers, three volumes, a network
    result = suite.scratch:orch { "resume", "1" }
    assert.equal(0, result.code, result.all)
    assert.matches("goes on in container", result.out, 1, true)
    assert.same({}, containers.left())
  end)

  it("have the end of their logs kept where they have printed more than can be held", function()
    suite.executor = executor [[{ image = "busybox:1.36", name = "chatty", health = "test -e /done",
      command = "yes $(head -c 15000 /dev/zero | tr -c x x) | head -n 1300; echo last; touch /done; sleep 60" }]]
    assert.equal(1, suite:recipe("job:run 'exit 5'").code)
    local text = assert(fs.read(suite.scratch:path("state/runs/1/logs/job-chatty.log")))
    assert.matches("^%(the last 200 lines%)\nxxx.*x\nlast\n$", text)
    assert.equal(0, suite.scratch:orch({ "discard", "1" }).code)
  end)

  it("are found again by a run that goes on after somebody has disconnected all", function()
    suite.executor = executor(('{ image = "busybox:1.36", name = "web", %s, health = { port = 8080 } }'):format(WEB))
    local body = [[job:run "busybox wget -qO- http://web:8080/ && test -e again || { touch again; exit 1; }"]]
    assert.equal(1, suite:recipe(body).code)
    local network = containers.docker("network", "ls", "-q", "--filter", "label=orch.run"):match("%S+")
    for id in containers.docker("ps", "-aq", "--filter", "label=orch.run"):gmatch("%S+") do
      containers.docker("network", "disconnect", network, id)
    end
    local result = suite.scratch:orch { "resume" }
    assert.equal(0, result.code, result.all)
    assert.matches("goes on in container", result.out, 1, true)
    assert.matches("hello", result.out, 1, true)
    assert.same({}, containers.left())
  end)

  it("have names that hosts can have, each its own", function()
    for services, words in pairs {
      ['{ image = "busybox:1.36" }, { image = "x/busybox:2" }'] =
        "two services are called 'busybox'",
      ['{ image = "busybox:1.36", name = "a b" }'] = "'a b' is no name of a host",
      ['{ image = "busybox:1.36", helth = "x" }'] = "unknown option 'helth'",
      ['{ image = "busybox:1.36", health = { prt = 1 } }'] = "unknown option 'prt'",
    } do
      suite.executor = executor(services)
      local result = suite:recipe ""
      assert.equal(2, result.code, result.all)
      assert.matches(words, result.all, 1, true)
    end
  end)
end)
