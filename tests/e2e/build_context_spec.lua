local engine = require "e2e.engine"
local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"

local LIST <const> =
  "FROM busybox:1.36\nCOPY . /c\nRUN cd /c && echo list: $(find . -type f | sort) && echo said: $(cat it)\n"

describe("docker_build's context", function()
  if not support.services() then
    it("is more than a directory", function() pending("no services: run tests/run.sh") end)
    return
  end

  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  local function shell(command)
    local result = assert(proc.run { argv = { "/bin/sh", "-ec", command }, cwd = scratch.dir })
    assert(result.code == 0, result.stdout)
    return (result.stdout:gsub("%s+$", ""))
  end

  -- A build with these options; `result` is what the verb gave, and nothing is ever left behind.
  local function build(options, env, head)
    local result = scratch:recipe(([[
    local r = job:docker_build { no_cache = true, %s }
    job:write { path = %q, text = require "orch.json".encode(r) } ]]):format(options, scratch:path("result.json")),
      {}, env, head)
    result.result = result.code == 0 and json.decode(assert(fs.read(scratch:path("result.json"))))
    assert.same({}, scratch:leftovers(result.code == 0))
    assert.equal("", shell "find state/runs -name 'context-*'")
    return result
  end

  local function good(options, env, head)
    local result = build(options, env, head)
    assert.equal(0, result.code, result.all)
    return result
  end

  local function fails(code, words, options)
    local result = build(options)
    assert.equal(code, result.code, result.all)
    assert.matches(words, result.err, 1, true)
  end

  -- A bare repository of two commits: main, and a branch on the first.
  local function repository()
    return shell(([[
      mkdir tree && cd tree && git init -q -b main && mkdir sub
      printf '%s' > Dockerfile; cp Dockerfile sub; echo first > it; echo below > sub/it; ln -s / sub/out; ln -s ../.. up
      git add -A; git -c user.name=t -c user.email=t@t commit -qm first; git branch old
      echo second > it; git -c user.name=t -c user.email=t@t commit -qam second
      git clone -q --bare . ../repo.git; git rev-parse HEAD HEAD~1]]):format(LIST:gsub("\n", "\\n")))
  end

  it("begins with images that the run's materials name, by their digest when a registry gave them",
    function()
    local from = os.getenv "ORCH_TEST_REGISTRY" .. "/base/busybox:1"
    scratch:write("near/Dockerfile", "FROM busybox:1.36 AS first\nFROM first\nRUN true\n")
    scratch:write("far/Dockerfile", ("FROM %s\nRUN true\n"):format(from))
    local made = scratch:recipe(([[
    job:docker_login { registry = %q, username = "AWS", password = job.secrets.ORCH_TEST_REGISTRY_PASSWORD }
    job:image_tag { source = "busybox:1.36", tags = { %q } }
    job:docker_push { tags = { %q } }
    job:image_remove { images = { %q } }
    job:docker_build { no_cache = true, context = %q }
    job:docker_build { no_cache = true, context = %q }]]):format(os.getenv "ORCH_TEST_REGISTRY", from, from, from,
      scratch:path "near", scratch:path "far"), {}, {},
        "secrets = { 'ORCH_TEST_REGISTRY_PASSWORD' },")
    assert.equal(0, made.code, made.all)
    local bases = json.decode(scratch:orch({ "show", "--json" }).out).materials.base_images
    assert.equal(2, #bases)
    assert.same({ "docker.io/library/busybox:1.36", "build" }, { bases[1].name, bases[1].used })
    assert.equal(from, bases[2].name)
    assert.matches("^sha256:%x+$", bases[2].digest)
  end)

  it("is a git repository, at a ref, in a directory of it", function()
    local head, old = repository():match("(%x+)%s(%x+)")
    local at = ("{ git = %q"):format(scratch:path("repo.git"))
    local result = good(("context = %s }"):format(at))
    assert.matches("said: second", result.out)
    assert.equal((engine.sent(LIST)), good(("context = %s }"):format(at)).result.context.files)
    assert.is_nil(result.out:find(".git/", 1, true))
    assert.same({ url = scratch:path("repo.git"), commit = head }, result.result.source)
    local shown = json.decode(scratch:orch({ "show", "--json" }).out)
    assert.equal(head, shown.materials.commits[#shown.materials.commits].revision)
    assert.matches("said: first", good(("context = %s, ref = 'old' }"):format(at)).out)
    assert.matches("said: first", good(("context = %s, ref = %q }"):format(at, old)).out)
    result = good(("context = %s, dir = 'sub' }"):format(at))
    assert.matches("list: ./Dockerfile ./it\n", result.out)
    assert.matches("said: below", result.out)
    assert.matches("said: second", good(("classic = true, context = %s }"):format(at)).out)
    fails(1, "'sub/out' leads out of the context", ("context = %s, dir = 'sub/out' }"):format(at))
    fails(1, "'up' leads out of the context", ("context = %s, dir = 'up' }"):format(at))
    fails(1, "leads out of the context", ("context = %s, dir = '../..' }"):format(at))
    fails(5, "no directory 'nowhere' in", ("context = %s, dir = 'nowhere' }"):format(at))
    fails(5, "'--upload-pack=/bin/false'",
      ("context = %s, ref = '--upload-pack=/bin/false' }"):format(at))
    fails(2, "leads out of the context",
      ("context = %s }, dockerfile = '../../Dockerfile'"):format(at))
  end)

  it("is a git URL as docker writes it", function()
    local url = os.getenv("ORCH_TEST_GIT_URL")
    local look = [[dockerfile = "FROM busybox:1.36\nCOPY . /c\nRUN cat /c/hello.sh\n"]]
    local function of(fragment) return ("context = %q, %s"):format(url .. fragment, look) end
    assert.matches("hello from extras", good(of("#main:extras")).out)
    assert.matches("hello from extras", good(of("#v0.2.0:extras")).out)
    assert.matches("good morning", good(of("#feature/greeting:extras")).out)
    assert.matches("hello from extras", good(of("#:/extras/")).out)
    fails(5, "nosuch", of("#nosuch"))
    fails(1, "leads out of the context", of("#main:../../../../etc"))
    fails(2, "does not end in .git", [[context = "https://127.0.0.1:1/archive.tar.gz"]])
    fails(4, "127.0.0.1", [[context = "https://127.0.0.1:1/app.git#main"]])
  end)

  it("is a private repository, whose password is seen nowhere", function()
    local password = os.getenv("ORCH_TEST_GIT_PASSWORD")
    local result = good(([[dockerfile = "FROM busybox:1.36\nCOPY extras /c\nRUN cat /c/hello.sh\n",
      context = { git = %q, user = %q, password = job.secrets.WORD }]]):format(os.getenv("ORCH_TEST_GIT_PRIVATE_URL"),
      os.getenv("ORCH_TEST_GIT_USER")), { WORD = password }, "secrets = { 'WORD' },")
    assert.matches("hello from extras", result.out)
    assert.is_nil(result.all:find(password, 1, true))
    assert.equal("", shell(("grep -rlF %s state || true"):format(password)))
    fails(3, "private", ("context = %q"):format(os.getenv("ORCH_TEST_GIT_PRIVATE_URL")))
  end)

  it("is a tar, plain or compressed, whatever its first header is", function()
    scratch:write("t/Dockerfile", LIST .. "RUN stat -c 'own %u:%g' /c/it\n")
    scratch:write("t/it", "packed\n")
    scratch:write("t/" .. ("long"):rep(30) .. "/x", "x")
    scratch:write("t/drop.log", "x")
    scratch:write("t/.dockerignore", "*.log\n")
    shell "tar -C t --format=pax --owner=77 --group=77 -cf x.tar . && tar -C t -czf x.tar.gz ."
    for _, name in ipairs { "x.tar", "x.tar.gz" } do
      local result = good(("context = %q"):format(scratch:path(name)))
      assert.matches("said: packed", result.out)
      assert.matches("own 0:0", result.out, 1, true)
      assert.is_nil(result.out:find("drop.log", 1, true))
    end
    assert.matches("said: packed",
      good(("classic = true, context = %q"):format(scratch:path("x.tar"))).out)
    shell "tar -cf deep.tar t"
    assert.matches("said: packed",
      good(("context = { tar = %q, dir = 't' }"):format(scratch:path("deep.tar"))).out)
    local again = good(("context = { tar = %q, dir = 't' }"):format(scratch:path("deep.tar")))
    assert.equal((engine.sent("Dockerfile", ".dockerignore")), again.result.context.files) -- the times are the archive's
  end)

  it("is a tar that nothing leads out of", function()
    scratch:write("secret", "FROM busybox:1.36\nRUN echo stolen\n")
    scratch:write("t/Dockerfile", LIST)
    scratch:write("t/it", "x\n")
    shell [[
      tar -C t -P --transform 's,^it,../../escaped,' -cf up.tar Dockerfile it
      ln -s $PWD/secret t/Link; tar -C t -cf link.tar .
      mkfifo t/pipe; tar -C t -cf fifo.tar .; head -c 700 link.tar > short.tar; echo text > text.tar ]]
    fails(1, "escaped", ("context = %q"):format(scratch:path("up.tar")))
    assert.equal("", shell "find . -name escaped")
    local result = build(("context = %q, dockerfile = 'Link'"):format(scratch:path("link.tar")))
    assert.equal(1, result.code, result.all)
    assert.matches("'Link' leads out of the context", result.err, 1, true)
    assert.is_nil(result.all:find("stolen", 1, true))
    fails(1, "pipe", ("context = %q"):format(scratch:path("fifo.tar")))
    fails(4, "short.tar", ("context = %q"):format(scratch:path("short.tar")))
    fails(4, "text.tar", ("context = %q"):format(scratch:path("text.tar")))
  end)

  it("is a container's path", function()
    local name = "spec-context-" .. scratch.dir:match("[^-]+$"):lower()
    shell(([[docker create --name %s busybox:1.36 true >/dev/null; mkdir app
      echo held > app/it; printf '%s' > app/Dockerfile; ln -s /nowhere app/link; docker cp app %s:/app]])
      :format(name, LIST:gsub("\n", "\\n"), name))
    local removed <close> = setmetatable({},
      { __close = function() shell("docker rm -f " .. name) end })
    local at = ("context = { container = %q, path = %%q }"):format(name)
    local result = good(at:format("/app"))
    assert.matches("list: ./Dockerfile ./it\n", result.out)
    assert.matches("said: held", result.out)
    assert.matches("said: held", good("classic = true, " .. at:format("/app/")).out)
    fails(5, "/nowhere", at:format("/nowhere"))
    fails(5, "no-such-container", "context = { container = 'no-such-container', path = '/' }")
    fails(2, "must begin with '/'", at:format("app"))
    fails(2, "is no container's name", "context = { container = '../images', path = '/' }")
    assert.not_equal(0, build(at:format("/app/it")).code)
    assert.is_truthy(removed)
  end)

  it("is a tar that a job in a container has made", function()
    for _, in_place in ipairs { "true", "false" } do
      local result = scratch:recipe(([[
      job:run "mkdir t && printf '%s' > t/Dockerfile && echo inner > t/it && tar -C t -cf x.tar ."
      job:docker_build { context = "x.tar", no_cache = true } ]]):format(LIST:gsub("\n", "\\\\n"):gsub("%%", "%%%%")),
        {}, nil,
        "executor = orch.docker { image = 'busybox:1.36', in_place = " .. in_place .. " },")
      assert.equal(0, result.code, result.all)
      assert.matches("said: inner", result.out)
      assert.same({}, scratch:leftovers(true))
    end
  end)

  it("is refused when it is none of these", function()
    fails(2, "option 'context' must be", "context = { path = '/' }")
    fails(2, "unknown option 'branch'", "context = { git = 'https://h/r.git', branch = 'x' }")
  end)
end)
