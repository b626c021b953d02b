local client = require "orch.docker.client"
local fs = require "orch.fs"
local http = require "orch.http"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"
local tar = require "orch.tar"
local trace = require "orch.trace"

-- What a build's last step sees of /c: names, modes, owners, contents.
local LOOK <const> = [[
RUN cd /c && find . -exec stat -c 'it %n %a %u:%g %F' {} + | sort && find . -type f -exec sha256sum {} + | sort]]

describe("docker_build", function()
  if not support.services() then
    it("builds on a real daemon", function() pending("no services: run tests/run.sh") end)
    return
  end

  local scratch, context
  before_each(function()
    scratch = support.scratch()
    context = scratch:path("context")
    assert(fs.make_dir(context))
  end)
  after_each(function() scratch:remove() end)

  local function tag(name)
    return ("spec-build-%s:%s"):format(scratch.dir:match("[^-]+$"):lower(), name or "1")
  end

  local function shell(command)
    local result = assert(proc.run { argv = { "/bin/sh", "-ec", command }, cwd = context })
    assert(result.code == 0, result.stdout)
    return result.stdout
  end

  local function put(name, text) scratch:write("context/" .. name, text) end

  -- A build with these options; the result's `result` is what the verb gave.
  local function build(options, env, head)
    local result = scratch:recipe(([[
    local r = job:docker_build { context = %q, tags = { %q }, %s }
    job:write { path = %q, text = require "orch.json".encode(r) } ]]):format(context, tag(), options or "",
      scratch:path("result.json")), {}, env, head)
    if result.code == 0 then
      result.result = json.decode(assert(fs.read(scratch:path("result.json"))))
    end
    return result
  end

  local function good(options, env, head)
    local result = build(options, env, head)
    assert.equal(0, result.code, result.all)
    return result
  end

  local function lines_with(text, pattern)
    local found = {}
    for line in text:gmatch("[^\n]+") do
      local words = line:match(pattern)
      if words then found[#found + 1] = words end
    end
    return table.concat(found, "\n")
  end

  local function docker(path, method)
    local socket = os.getenv("DOCKER_HOST"):match("^unix://(.*)")
    return assert(http.request { url = "http://d/v1.41" .. path, unix = socket,
      method = method or "GET" })
  end

  it("sends the same files by a session as by a tar", function()
    shell [[
      mkdir -p a/b empty 'with space'; echo deep > a/b/c; echo x > a.txt; ln a.txt hard; ln -s a/b link; ln -s nowhere broken
      echo ü > 'with space/ü'; chmod 750 a; chmod 4755 a.txt; touch 'with space/[x]'; echo no > drop.log
      printf '*.log\n' > .dockerignore ]]
    put("Dockerfile", "FROM busybox:1.36\nCOPY . /c\n" .. LOOK .. "\n")
    local by_session = good("no_cache = true")

    local connected = client.connect()
    local stream = assert(tar.context { dir = context })
    local reply =
      assert(connected:request { op = "build", method = "POST", path = "/build", stream = true,
      query = { version = 2, nocache = true }, body_fd = stream:fd(),
      headers = { ["Content-Type"] = "application/x-tar" } })
    local text = ""
    for line in connected.lines("build", reply) do
      for _,
        log in ipairs(line.id == "moby.buildkit.trace" and trace.decode(line.aux).logs or {}) do
        text = text .. log.data
      end
    end
    assert(stream:wait())
    local expected = lines_with(text, "(it %.[^%s]* .*)$") .. lines_with(text, "^(%x+  .*)$")
    assert.equal(expected,
      lines_with(by_session.out, "(it %.[^%s]* .*)$")
      .. lines_with(by_session.out, "(%x%x%x%x%x+  .*)$"))
    assert.matches("it ./a/b/c 644 0:0 regular file", expected, 1, true)
  end)

  it("sends nothing when nothing changed, and one file when one did", function()
    for i = 1, 40 do put("f" .. i, "content " .. i) end
    put("Dockerfile", "FROM busybox:1.36\nCOPY . /c\n")
    assert.is_true(good().result.context.files >= 41)
    local again = good().result
    assert.equal(0, again.context.files)
    assert.is_true(again.cached > 0)
    put("f7", "changed")
    local changed = good().result
    assert.equal(1, changed.context.files)
    assert.equal(7, changed.context.bytes)
    assert.is_truthy(changed.image:match("^sha256:%x+$"))
  end)

  it("says that a context is not there, and what is", function()
    local result =
      scratch:recipe("job:write { path = 'app/f', text = '' } job:docker_build { context = 'ap', tags = { 'x:1' } }")
    assert.equal(5, result.code, result.all)
    assert.is_truthy(result.err:find("no directory 'ap' to build from", 1, true), result.all)
    assert.is_truthy(result.err:find("did you mean 'app'?", 1, true), result.all)
  end)

  it("sends nothing of a fresh checkout in the next run, and the one file that a commit changed",
    function()
    local files = { Dockerfile = "FROM busybox:1.36\nCOPY . /c\n", [".dockerignore"] = ".git\n" }
    for i = 1, 40 do files[("d%d/f%d"):format(i % 4, i)] = "content " .. i end
    local project = scratch:project(files)
    for i, head in ipairs { "", "executor = orch.docker { image = 'busybox:1.36' }," } do
      local function sent()
        local result = scratch:recipe(([[
          job:checkout()
          job:run "sleep 0.01; echo $$ > made"
          local built = job:docker_build { tags = { %q } }
          return { files = built.context.files } ]]):format(tag()), { "--project", project }, nil, head)
        assert.equal(0, result.code, result.all)
        return json.decode(scratch:orch({ "show", "--json", "--project",
          project }).out).jobs[1].outputs.files
      end
      if i == 1 then assert.is_true(sent() >= 41) end
      assert.equal(1, sent()) -- what the step made
      fs.write(project .. "/d1/f1", "CONTENT " .. i)
      assert(proc.run { argv = { "git", "-C", project, "-c", "user.name=t", "-c", "user.email=t@t",
        "commit", "-qam",
        "more" } })
      assert.equal(2, sent())
    end
  end)

  it("gives secrets to the steps that mount them, and to nothing else", function()
    local value = "s3cret-" .. scratch.dir:match("[^-]+$")
    put("token.txt", value .. "-file\n")
    put("Dockerfile", [[
FROM busybox:1.36
RUN --mount=type=secret,id=tok --mount=type=secret,id=file cat /run/secrets/tok && sha256sum /run/secrets/tok /run/secrets/file
RUN --mount=type=secret,id=absent ls /run/secrets
]])
    put(".dockerignore", "token.txt\n")
    local result =
      good(([[ no_cache = true, secrets = { tok = job.secrets.SPEC_TOKEN, file = { file = %q } } ]])
      :format(context .. "/token.txt"), { SPEC_TOKEN = value }, "secrets = { 'SPEC_TOKEN' },")
    assert.is_nil(result.all:find(value, 1, true), result.all)
    local sum = assert(proc.run { argv = { "sha256sum" }, input = value }).stdout:match("%x+")
    assert.matches(sum, result.out, 1, true)
    assert.matches("%*%*%*", result.out)
    assert.is_nil(docker("/images/" .. tag() .. "/history").body:find(value, 1, true))
    local found = assert(proc.run { argv = { "grep", "-rlF", "--", value, scratch:path("state") } })
    assert.equal("", found.stdout)

    put("Dockerfile", "FROM busybox:1.36\nRUN --mount=type=secret,id=need,required=true true\n")
    result = build("no_cache = true")
    assert.equal(1, result.code, result.all)
    assert.matches("secret need", result.err)
    result = build("secrets = { tok = 'plain' }")
    assert.equal(2, result.code, result.all)
    assert.matches("secret 'tok' must be a secret", result.err, 1, true)
  end)

  it("pulls a private base image with the login it is given", function()
    local base = ("%s/%s/%s"):format(os.getenv("ORCH_TEST_REGISTRY"),
      os.getenv("ORCH_TEST_ECR_ALIAS"), tag("base"))
    put("Dockerfile", "FROM busybox:1.36\nLABEL x=" .. scratch.dir .. "\n")
    local login =
      ("{ registry = %q, username = %q, password = require 'orch.secret'.new(%q, 'REGISTRY') }"):format(
      os.getenv("ORCH_TEST_REGISTRY"), os.getenv("ORCH_TEST_REGISTRY_USER"),
      os.getenv("ORCH_TEST_REGISTRY_PASSWORD"))
    local pushed = scratch:recipe(([[
    job:docker_build { context = %q, tags = { %q } }
    job:docker_push { tags = { %q }, auth = %s }]]):format(context, base, base, login))
    assert.equal(0, pushed.code, pushed.all)
    docker("/images/" .. base .. "?force=1", "DELETE")
    put("Dockerfile", "FROM " .. base .. "\nRUN echo private\n")
    local without = build("no_cache = true, pull = true")
    assert.not_equal(0, without.code, without.all)
    good("no_cache = true, pull = true, auth = " .. login)
    good("no_cache = true, pull = true, classic = true, auth = { " .. login .. " }")
  end)

  it("goes by the .dockerignore that belongs to the Dockerfile", function()
    for _, name in ipairs { "a.log", "keep.log", "b.txt", "d/c.log", "d/c.txt" } do
      put(name, name)
    end
    put("Dockerfile",
      "FROM busybox:1.36\nCOPY . /c\nRUN cd /c && find . -type f | sort | tr '\\n' ' ' && echo\n")
    put("sub/Other",
      "FROM busybox:1.36\nCOPY . /c\nRUN cd /c && find . -type f | sort | tr '\\n' ' ' && echo\n")
    local function listed(result) return result.out:match("%./[^\n]*") end
    put(".dockerignore", "# all\n**/*.log\n!keep.log\nsub\nDockerfile\n.dockerignore\n")
    assert.equal("./b.txt ./d/c.txt ./keep.log ", listed(good("no_cache = true")))
    put("sub/Other.dockerignore", "*\n!d\n")
    assert.equal("./d/c.log ./d/c.txt ", listed(good("no_cache = true, dockerfile = 'sub/Other'")))
    put("sub/Other.dockerignore", "*\n!**/*.txt\n")
    assert.equal("./b.txt ./d/c.txt ", listed(good("no_cache = true, dockerfile = 'sub/Other'")))
    put(".dockerignore", "[a\n")
    local result = build("no_cache = true")
    assert.not_equal(0, result.code)
    assert.matches("pattern", result.err)
  end)

  it("takes a Dockerfile as a text, and one outside of the context", function()
    put("f", "hello\n")
    local result =
      good [[ no_cache = true, dockerfile = "FROM busybox:1.36\nCOPY f /f\nRUN cat /f\n" ]]
    assert.matches("hello", result.out)
    result =
      good [[ no_cache = true, dockerfile = "FROM busybox:1.36\nCOPY f /f\nRUN cat /f | tr a-z A-Z\n" ]]
    assert.matches("HELLO", result.out)
    scratch:write("elsewhere/Dockerfile", "FROM busybox:1.36\nRUN echo outside\n")
    assert.matches("outside", good("no_cache = true, dockerfile = '../elsewhere/Dockerfile'").out)
    result = build("dockerfile = 'Dokerfile'")
    assert.equal(5, result.code, result.all)
  end)

  it("has args, labels, targets, and builds without the cache when told", function()
    put("Dockerfile", [[
FROM busybox:1.36 AS first
ARG WORD=none
RUN echo "word $WORD"
FROM busybox:1.36
RUN echo second
]])
    local result = good("args = { WORD = 'given' }, labels = { a = 'b c' }, target = 'first'")
    assert.matches("word given", result.out)
    assert.is_nil(result.out:find("echo second", 1, true))
    assert.equal("b c", json.decode(docker("/images/" .. tag() .. "/json").body).Config.Labels.a)
    result = good("args = { WORD = 'given' }, target = 'first'")
    assert.is_nil(result.out:find("\n%s+word given"))
    local cached
    for _, vertex in ipairs(result.result.vertexes) do
      if vertex.name:find("echo", 1, true) then cached = vertex.cached end
    end
    assert.is_true(cached)
    assert.matches("\n%s+word given",
      good("args = { WORD = 'given' }, target = 'first', no_cache = true").out)
    result = build("target = 'none'")
    assert.equal(1, result.code, result.all)
    assert.matches("none", result.err)
  end)

  it("takes the cache from an image that was pushed with it", function()
    local image = ("%s/%s/%s"):format(os.getenv("ORCH_TEST_REGISTRY"),
      os.getenv("ORCH_TEST_ECR_ALIAS"), tag("cache"))
    put("Dockerfile",
      "FROM busybox:1.36\nRUN echo run for the first time in " .. scratch.dir .. "\n")
    local login =
      ("{ registry = %q, username = %q, password = require 'orch.secret'.new(%q, 'REGISTRY') }"):format(
      os.getenv("ORCH_TEST_REGISTRY"), os.getenv("ORCH_TEST_REGISTRY_USER"),
      os.getenv("ORCH_TEST_REGISTRY_PASSWORD"))
    local pushed = scratch:recipe(([[
    job:docker_build { context = %q, tags = { %q }, inline_cache = true }
    job:docker_push { tags = { %q }, auth = %s }]]):format(context, image, image, login))
    assert.equal(0, pushed.code, pushed.all)
    docker("/images/" .. image .. "?force=1", "DELETE")
    assert.equal(200, docker("/build/prune?all=true", "POST").status)
    local result = good(("cache_from = { %q }, auth = %s"):format(image, login))
    assert.matches("RUN echo run for the first time in %S+  cached", result.out)
  end)

  it("builds for another platform, and steps without a network", function()
    put("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
    good("platform = 'linux/arm64'")
    assert.equal("arm64", json.decode(docker("/images/" .. tag() .. "/json").body).Architecture)
    put("Dockerfile",
      "FROM busybox:1.36\nARG PORT\nRUN echo port $PORT, devices $(ls /sys/class/net)\n")
    assert.matches("\n%s+port 80, devices lo\n", good("network = 'none', args = { PORT = 80 }").out)
  end)

  it("writes the result's files to a tar or a directory", function()
    put("f", "made\n")
    put("Dockerfile", "FROM scratch\nCOPY f /dir/f\n")
    local file = scratch:path("out.tar")
    local result = good(("tags = {}, output = %q"):format(file))
    assert.is_nil(result.result.image)
    assert.equal("dir/f", assert(tar.list { file = file })[2].path)
    good(("tags = {}, output = %q"):format(scratch:path("out")))
    assert.equal("made\n", fs.read(scratch:path("out/dir/f")))
    assert.same({}, scratch:leftovers())
  end)

  it("gives an ssh agent's socket to the step that mounts it", function()
    put("Dockerfile",
      "FROM busybox:1.36\nRUN --mount=type=ssh,required=true test -S $SSH_AUTH_SOCK && echo there\n")
    shell [[python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("../agent")']]
    local agent = scratch:path("agent")
    assert.matches("there", good(("no_cache = true, ssh = %q"):format(agent)).out)
    for options, wanted in pairs {
      ["no_cache = true, ssh = true"] = { 2, "no agent 'default'" },
      ["no_cache = true, ssh = '/nowhere/agent'"] = { 5, "no socket /nowhere/agent" },
      [("ssh = { key = %q }"):format(context .. "/Dockerfile")] = { 2,
        "is no agent's socket but a file" },
      ["no_cache = true"] = { 1, "no ssh agent default\n",
        "try: forward an agent to the build: ssh = true" },
    } do
      local result = build(options, { SSH_AUTH_SOCK = "" })
      assert.equal(wanted[1], result.code, result.all)
      for i = 2, #wanted do assert.matches(wanted[i], result.err, 1, true) end
    end
  end)

  it("refuses what the classic builder cannot", function()
    put("Dockerfile", "FROM busybox:1.36\n")
    local result = build("classic = true, ssh = '/x'")
    assert.equal(2, result.code, result.all)
    assert.matches("option 'ssh' needs BuildKit", result.err, 1, true)
    good("classic = true")
  end)
end)
