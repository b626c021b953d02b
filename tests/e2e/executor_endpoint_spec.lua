-- setup_remote_docker in a container: steps call docker themselves, whatever daemon it is and
-- however it is reached.
local containers = require "e2e.containers"
local daemon = require "e2e.daemon"
local endpoints = require "e2e.endpoints"
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
  local argv = { "tests/services/base_image", "--with", "/bin/bash", "--with", "/usr/bin/docker",
    IMAGE }
  local made = assert(proc.run { argv = argv, env = environment })
  assert.equal(0, made.code, made.stdout)
end

-- Builds by both builders, hijacked connections that one side ends for writing, many at once, and
-- one that nobody reads beside others.
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
      .. " | grep -cE 'layer.tar|blobs/sha256/.'")
    run "docker image rm endpoint:1 > /dev/null"
  ]]
  for _, words in ipairs { "server %d", "went through", "to its input" } do
    assert.matches(words, result.out)
  end
  return result.out
end

describe("a docker endpoint in a container", function()
  local suite, far
  after_each(function()
    suite:close()
    containers.remove_left()
  end)

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

  it("is passed on to a daemon that is reached by ssh", function()
    make_image()
    local place <close> = endpoints.place()
    local _, env = place:sshd()
    env.DOCKER_HOST = "ssh://box" .. os.getenv("DOCKER_HOST"):match("^unix://(.*)")
    suite = executor_suite.new(('orch.docker { image = "%s" }'):format(IMAGE), env)
    assert.matches("at " .. env.DOCKER_HOST, use(suite), 1, true)
    assert.same({}, containers.left())
    place:remove()
  end)

  it("is lost with ssh, which the run says and not that the container is gone, and can go on", function()
    local place <close> = endpoints.place()
    local _, env = place:sshd()
    env.DOCKER_HOST = "ssh://box" .. os.getenv("DOCKER_HOST"):match("^unix://(.*)")
    suite = executor_suite.new('orch.docker { image = "busybox:1.36" }', env)
    local child = suite.scratch:start { "run", suite.scratch:job([[
      job:setup_remote_docker()
      job:run "test -e again || { touch again; echo begun; sleep 100; }"]],
      "executor = " .. suite.executor .. ",") }
    local text = ""
    while not text:find("\n   begun", 1, true) do text = text .. assert(child:read(), text) end
    place:sh([[pkill -f "[s]sh .*$PWD/ssh_config"]])
    for piece in child.read, child do text = text .. piece end
    assert.equal(4, assert(child:wait()).code, text)
    assert.matches("the docker daemon is out of reach: ssh to box: ", text, 1, true)
    assert.matches("container %x+ is lost: .*try: is the daemon running", text)
    assert.is_nil(text:find("was removed", 1, true))
    local result = suite.scratch:orch { "resume" }
    assert.equal(0, result.code, result.all)
    assert.matches("goes on in container", result.out, 1, true)
    assert.same({}, containers.left())
    place:remove()
  end)

  it("does for the lines of a CI job that builds and pushes with docker's own command line",
    function()
    make_image()
    suite = executor_suite.new(('orch.docker { image = "%s" }'):format(IMAGE), {
      PASSWORD = os.getenv("ORCH_TEST_REGISTRY_PASSWORD"),
      LOGIN = os.getenv("ORCH_TEST_REGISTRY_USER"),
      REGISTRY = os.getenv("ORCH_TEST_REGISTRY"), REPOSITORY = "lines" })
    local project = suite.scratch:project { ["Dockerfile"] = "FROM busybox:1.36\nCOPY app /app\n",
      ["app/hello"] = "x\n" }
    suite.scratch:write("recipe.lua", ([[
local orch = require "orch"
local executor = %s
return orch.pipeline {
  orch.job { name = "create_ecr_repo", executor = executor, run = function(job)
    local registry = os.getenv "REGISTRY"
    job:write { path = "/tmp/ecr/ecr_envars", text = ("export ECR_PUBLIC_URI=%%s/%%s\nexport ECR_URL=%%s\n"):format(
      registry, os.getenv "REPOSITORY", registry) }
    job:persist_to_workspace { root = "/tmp/ecr/", paths = { "*" } }
  end },
  orch.job { name = "build_push_docker_image", needs = { "create_ecr_repo" }, executor = executor,
    secrets = { "PASSWORD" }, run = function(job)
    job:checkout()
    job:setup_remote_docker()
    job:attach_workspace { at = "/tmp/ecr/" }
    job:run { name = "Build Docker image", environment = { NUMBER = job.pipeline.number }, timeout = 60, [=[
      export TAG=0.1.$NUMBER
      echo 'export TAG='$TAG >> /tmp/ecr/ecr_envars
      source /tmp/ecr/ecr_envars
      docker build -t $ECR_PUBLIC_URI -t $ECR_PUBLIC_URI:$TAG .
    ]=] }
    job:run { name = "Push", secrets = { "PASSWORD" }, environment = { LOGIN = os.getenv "LOGIN" }, timeout = 60, [=[
      source /tmp/ecr/ecr_envars
      echo "$PASSWORD" | docker login --username $LOGIN --password-stdin $ECR_URL
      docker push --all-tags $ECR_PUBLIC_URI
      docker rmi $ECR_PUBLIC_URI $ECR_PUBLIC_URI:$TAG
    ]=] }
    job:persist_to_workspace { root = "/tmp/ecr/", paths = { "*" } }
  end },
}]]):format(suite.executor))
    local result = suite.scratch:orch { "run", suite.scratch:path("recipe.lua"), "--project",
      project }
    assert.equal(0, result.code, result.all)
    for _, tag in ipairs { "latest", "0.1.1" } do
      assert.matches(tag .. ": digest: sha256:", result.out, 1, true)
    end
    assert.is_nil(result.all:find(os.getenv("ORCH_TEST_REGISTRY_PASSWORD"), 1, true))
    assert.same({}, containers.left())
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
