local containers = require "e2e.containers"
local executor_suite = require "e2e.executor_suite"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"

local docker, left, remove_left = containers.docker, containers.left, containers.remove_left

if not support.services() then
  describe("the docker executor", function()
    it("runs on a real daemon", function() pending("no services: run tests/run.sh") end)
  end)
  return
end

describe("the docker executor", function()
  local suite
  before_each(function()
    suite = executor_suite.new 'orch.docker { image = "cimg/node:14.16.0" }'
  end)
  after_each(function()
    suite:close()
    remove_left()
  end)
  executor_suite.each(function(title, case)
    it(title, function()
      case(suite)
      if not title:find("Ctrl-C", 1, true) then assert.same({}, left()) end
    end)
  end)
end)

describe("a container of a job", function()
  local suite
  before_each(function()
    suite = executor_suite.new 'orch.docker { image = "cimg/node:14.16.0" }'
  end)
  after_each(function()
    suite:close()
    remove_left()
  end)

  local function good(executor, body, env, head)
    suite.executor = executor
    local result = suite:good(body, nil, env, head)
    assert.same({}, left())
    return result
  end

  it("is told of in the record and in events, and shows no secret", function()
    local result =
      suite:recipe([[job:run { "test $TOKEN = s3cr3t-of-the-spec && exit 3", secrets = { "TOKEN" } }]],
      { "--format", "json" }, { TOKEN = "s3cr3t-of-the-spec" }, 'secrets = { "TOKEN" },')
    assert.equal(1, result.code, result.all)
    local id = result.out:match('"container":"(%x+)"')
    local shown = docker("inspect", id)
    assert.is_nil(shown:find("s3cr3t-of-the-spec", 1, true))
    assert.equal("job", json.decode(shown)[1].Config.Labels["orch.job"])
    assert.is_true(json.decode(shown)[1].HostConfig.Init)
    assert.is_nil(docker("events", "--since", "10m", "--until", "0s"):find("s3cr3t-of-the-spec", 1,
      true))
    local discarded = suite.scratch:orch { "discard", "1" }
    assert.equal(0, discarded.code, discarded.all)
    assert.same({}, left())
  end)

  it("refuses a secret where everybody can read it, and no place for files, before anything is made", function()
    local result = suite:recipe("", nil, nil, nil)
    assert.equal(0, result.code, result.all)
    suite.executor =
      'orch.docker { image = "busybox:1.36", environment = { A = require "orch.secret".new("x", "A") } }'
    result = suite:recipe ""
    assert.equal(2, result.code)
    assert.matches("`docker inspect` would show", result.all, 1, true)
    suite.executor = 'orch.docker { image = "busybox:1.36", resources = { memory = "512x" } }'
    result = suite:recipe ""
    assert.equal(2, result.code)
    assert.matches("'memory' must be like \"512m\" or \"4g\", got '512x'\n  at: .*recipe.lua:3", result.err)
    assert.equal("", result.out)
    suite.executor = 'orch.docker { image = "busybox:1.36", working_directory = "../.." }'
    assert.matches("option 'working_directory' leads to '/'", suite:recipe("").all, 1, true)
    assert.same({}, left())
  end)

  it("has the options' user, environment, directory and limits", function()
    good([[orch.docker { image = "busybox:1.36", user = "nobody", environment = { COLOUR = "red" },
      working_directory = "/srv/app", tmp = "/var/tmp", resources = { cpus = 0.5, memory = "64m" } }]], [[
      local said = job:run { "id -u; echo $COLOUR; pwd; echo $TMPDIR; echo > here", capture = true }.output
      assert(said == "65534\nred\n/srv/app\n/var/tmp/orch\n", said)
      assert(job.fs.stat("here").uid == 65534)
      local limit = job:run { "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null",
        capture = true, check = false }.output
      assert(limit:find("67108864", 1, true), limit)
    ]])
  end)

  it("needs no program but the job's own, and no way to the volumes but the daemon's", function()
    local dir = suite.scratch:path("image")
    require "orch.fs".make_dir(dir)
    assert(proc.run { argv = { "/bin/sh", "-c",
      ("cp /bin/busybox %s/busybox && tar -C %s -c busybox | docker import - tool:1")
      :format(dir, dir) } })
    local project = suite.scratch:project { ["Dockerfile"] = "FROM busybox:1.36\nCOPY a /a\n",
      a = "of the project\n" }
    for _, in_place in ipairs { "true", "false" } do
      suite.executor = ('orch.docker { image = "tool:1", in_place = %s }'):format(in_place)
      local result = suite:recipe([[
        job:checkout()
        job:checkout()
        assert(job:run { "/busybox", "cat", "a", capture = true }.output == "of the project\n")
        job:write { path = "new/file", text = "written" }
        assert(job:run { "/busybox", "cat", "new/file", capture = true }.output == "written")
        assert(job:run { "/busybox", "sh", "-c", "exit 4", check = false }.code == 4)
        job:persist_to_workspace { root = ".", paths = { "a", "new" } }
        assert(#job.fs.list(".") == 4)
        job:docker_build { tags = { "tool-built:1" } }
      ]], { "--project", project })
      assert.equal(0, result.code, result.all)
      suite.scratch:write("two.lua", ([[
        local orch = require "orch"
        return orch.pipeline {
          orch.job { name = "one", run = function(job)
            job:write { path = "out/deep/file", text = "of one" }
            job:persist_to_workspace { root = "out", paths = { "*" } }
          end },
          orch.job { name = "two", needs = { "one" }, executor = %s, run = function(job)
            job:attach_workspace { at = "/tmp/in" }
            assert(job:run { "/busybox", "cat", "/tmp/in/deep/file", capture = true }.output == "of one")
          end } }]]):format(suite.executor))
      result = suite.scratch:orch { "run", suite.scratch:path("two.lua") }
      assert.equal(0, result.code, result.all)
      assert.same({}, left())
      docker("rmi", "tool-built:1")
    end
    docker("rmi", "tool:1")
  end)

  it("has links that mean its own places, also to who reads its volumes from outside", function()
    suite.scratch:project { ["Dockerfile"] = "FROM busybox:1.36\n" }
    suite.scratch:write("verbs/outside.lua", [[
      local fs, orch = require "orch.fs", require "orch"
      return orch.verb { positional = "path", options = { path = "string" }, run = function(job, o)
        local seen = job.fs.seen(o.path)
        return { type = fs.stat(seen).type, copied = fs.real_path(seen):find(job.host_tmp, 1, true) == 1 }
      end }]])
    good('orch.docker { image = "cimg/node:14.16.0" }', [[
      job:run "ln -s /etc inside; mkdir there; ln -s /etc/os-release there/os-release"
      job:persist_to_workspace { root = "inside", paths = { "os-release" } }
      local copy = job.fs.pack { root = "inside", paths = { "os-release" }, file = job.host_tmp .. "/a.tar" }
      assert(job.fs.make_dir "out" and job.fs.unpack { file = job.host_tmp .. "/a.tar", into = "out" })
      assert(job:read("out/os-release"):find("stand-in for cimg/node", 1, true))
      assert(copy.entries == 1)
      for _, path in ipairs { "inside", "/etc", "there/os-release" } do
        local outside = job:outside(path)
        assert(outside.type == (path:find "os" and "file" or "directory") and outside.copied)
      end
      assert(job.fs.unpack { file = job.host_tmp .. "/a.tar", into = "inside" } == nil) -- as the user, not as root
    ]])
  end)

  it("has the daemon's socket when it asks for it, and only then", function()
    good('orch.docker { image = "cimg/node:14.16.0", docker = true }', [[
      job:setup_remote_docker()
      job:run "test -S ${DOCKER_HOST#unix://} -a -w ${DOCKER_HOST#unix://}"
    ]])
    good('orch.docker { image = "cimg/node:14.16.0" }',
      [[job:run "test ! -e /var/run/docker.sock"]])
  end)

  it("says which image there is not", function()
    suite.executor = ('orch.docker { image = "%s/none:1" }'):format(os.getenv("ORCH_TEST_REGISTRY"))
    local result = suite:recipe ""
    assert.not_equal(0, result.code)
    assert.matches("/none:1", result.err, 1, true)
    assert.same({}, left())
  end)

  it("says what to do where the image has no such user, and where it has no shell", function()
    suite.executor = 'orch.docker { image = "busybox:1.36", user = "nosuch" }'
    local result = suite:recipe "job:run 'true'"
    assert.equal(4, result.code, result.all)
    assert.matches("unable to find user nosuch", result.err, 1, true)
    assert.matches("no such user: give another name, or numbers", result.err, 1, true)
    suite.executor = 'orch.docker { image = "busybox:1.36" }'
    result = suite:recipe "job:run 'rm /bin/sh' job:run 'true'"
    assert.equal(5, result.code, result.all)
    assert.matches("cannot run /bin/sh: ", result.err, 1, true)
    assert.matches("a command line needs a shell, which /bin/sh is to be", result.err, 1, true)
  end)

  it("is pulled with the login that the executor names, and so are its services", function()
    local registry, user = os.getenv("ORCH_TEST_REGISTRY"), os.getenv("ORCH_TEST_REGISTRY_USER")
    local names = { registry .. "/executor-spec:1", registry .. "/executor-spec:2" }
    local config = suite.scratch:path("docker")
    docker("--config", config, "login", "-u", user, "-p", os.getenv("ORCH_TEST_REGISTRY_PASSWORD"),
      registry)
    for _, name in ipairs(names) do
      docker("tag", "busybox:1.36", name)
      docker("--config", config, "push", "-q", name)
      docker("rmi", name)
    end
    suite.executor = ([[orch.docker { image = "%s", auth = { username = "%s", password = "$LOGIN" },
      services = { { image = "%s", name = "s", command = "sleep 1000", auth = { username = "%s", password = "$LOGIN" } } } }
    ]]):format(names[1], user, names[2], user)
    local head = 'secrets = { "LOGIN" },'
    local result = suite:recipe("", nil, { LOGIN = "not-it" }, head)
    assert.equal(3, result.code, result.all)
    assert.matches(registry, result.err, 1, true)
    assert.equal(0, suite.scratch:orch({ "discard", "1" }).code)
    result = good(suite.executor, [[job:run "echo pulled and run"]],
      { LOGIN = os.getenv("ORCH_TEST_REGISTRY_PASSWORD") }, head)
    assert.matches("sha256:%x+%)", result.out)
    docker("rmi", table.unpack(names))
  end)

  it("runs the main job as the recipe for a container has it", function()
    local repository = "container-" .. suite.mark:lower()
    local project = suite.scratch:project { ["Dockerfile"] = "FROM busybox:1.36\nCOPY app /app\n",
      ["app/hello"] = "x\n" }
    local function run()
      local result = suite.scratch:orch { "run",
        support.root .. "/recipes/build_push_in_container.lua", "--project",
        project, "repository=" .. repository }
      assert.equal(0, result.code, result.all)
      assert.is_nil(result.all:find(os.getenv("AWS_SECRET_ACCESS_KEY"), 1, true))
      assert.same({}, left())
      return result
    end
    local uri = ("%s/%s/%s"):format(os.getenv("ORCH_TEST_REGISTRY"),
      os.getenv("ORCH_TEST_ECR_ALIAS"), repository)
    assert.matches(uri .. ":0.1.1", run().out, 1, true)
    assert.matches(uri .. ":0.1.2", run().out, 1, true)
    local reply =
      assert(require "orch.http".request { basic = { user = os.getenv("ORCH_TEST_REGISTRY_USER"),
      password = os.getenv("ORCH_TEST_REGISTRY_PASSWORD") },
        url = ("http://%s/v2/%s/%s/tags/list"):format(
      os.getenv("ORCH_TEST_REGISTRY"), os.getenv("ORCH_TEST_ECR_ALIAS"), repository) })
    local tags = json.decode(reply.body).tags
    table.sort(tags)
    assert.same({ "0.1.1", "0.1.2", "latest" }, tags)
  end)
end)
