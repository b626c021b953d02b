-- setup_remote_docker in a container: steps call docker themselves, whatever daemon it is and however it is reached.
local daemon = require "e2e.daemon"
local executor_suite = require "e2e.executor_suite"
local proc = require "orch.proc"
local support = require "e2e.support"

if not support.services() then
  describe("a docker endpoint in a container", function()
    it("is passed on to a real daemon", function() pending("no services: run tests/run.sh") end)
  end)
  return
end

local IMAGE <const> = "cimg/docker:1"

local function make_image(environment)
  local argv = { "tests/services/base_image", "--with", "/bin/bash", "--with", "/usr/bin/docker", IMAGE }
  local made = assert(proc.run { argv = argv, env = environment })
  assert.equal(0, made.code, made.stdout)
end

-- Builds by both builders, hijacked connections that one side ends for writing, many at once, and one that nobody
-- reads beside others.
local function use(suite)
  local result = suite:good [[
    local function run(command) return job:run { command, timeout = 40 } end
    run "test ! -e /var/run/docker.sock"
    local set = job:setup_remote_docker()
    assert(set.host == "unix:///var/run/docker.sock" and job:setup_remote_docker().host == set.host)
    run "docker version -f 'server {{.Server.Version}}'"
    job:write { path = "Dockerfile", text = "FROM busybox:1.36\nCOPY big /big\nRUN test $(wc -c < /big) = 3000000\n" }
    run "head -c 3000000 /dev/urandom > big"
    run "DOCKER_BUILDKIT=1 docker build -t endpoint:1 . && DOCKER_BUILDKIT=0 docker build -t endpoint:1 ."
    run "docker run --rm endpoint:1 cat /big | cmp - big && echo went through"
    run "echo to its input | docker run --rm -i busybox:1.36 cat"
    run "for i in 1 2 3 4 5 6 7 8; do docker image inspect endpoint:1 > $i & done; wait; cmp 1 8"
    run("docker save endpoint:1 | { for i in 1 2 3; do docker image inspect endpoint:1 > $i; done; cat; } | tar -t"
      .. " | grep -c layer.tar")
    run "docker image rm endpoint:1 > /dev/null"
  ]]
  for _, words in ipairs { "server %d", "went through", "to its input" } do assert.matches(words, result.out) end
end

describe("a docker endpoint in a container", function()
  local suite, far
  after_each(function() suite:close() end)

  it("is passed on to the daemon of this machine, again when the run is resumed", function()
    make_image()
    suite = executor_suite.new(('orch.docker { image = "%s" }'):format(IMAGE))
    use(suite)
    local ready = suite.scratch:path("ready")
    local failed = suite:recipe(([[job:setup_remote_docker()
      job:run "docker version > /dev/null" job:run("docker version > /dev/null && test -e " .. %q)]]):format(ready))
    assert.equal(1, failed.code, failed.all)
    local again = suite.scratch:orch { "resume" }
    assert.equal(1, again.code, again.all)
    assert.matches("exit code 1", again.err)
    assert.equal(0, suite.scratch:orch({ "discard", "2" }).code)
  end)

  it("is passed on to a daemon far away, by TCP with TLS", function()
    far = daemon.start { size = "700m", tls = true, images = { "busybox:1.36" } }
    finally(function() far:stop() end)
    make_image(far:env { PATH = os.getenv "PATH" })
    suite = executor_suite.new(('orch.docker { image = "%s" }'):format(IMAGE), far:tls_env())
    use(suite)
  end)

  it("is for the user of the image alone", function()
    make_image()
    suite = executor_suite.new(('orch.docker { image = "%s" }'):format(IMAGE))
    suite:good [[
      job:setup_remote_docker()
      job:run "test \"$(stat -c '%a %u' /var/run/docker.sock)\" = \"600 $(id -u)\""
    ]]
  end)
end)
