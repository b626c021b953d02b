local builds = require "e2e.builds"
local client = require "orch.docker.client"
local engine = require "e2e.engine"
local fs = require "orch.fs"
local json = require "orch.json"
local lines = require "orch.docker.lines"
local proc = require "orch.proc"
local support = require "e2e.support"
local tar = require "orch.tar"
local trace = require "orch.trace"

-- What a build's last step sees of /c: names, modes, owners, contents.
local LOOK <const> = [[
RUN cd /c && find . -exec stat -c 'it %n %a %u:%g %F' {} + | sort && find . -type f -exec sha256sum {} + | sort]]

local function lines_with(text, pattern)
  local found = {}
  for line in text:gmatch("[^\n]+") do
    local words = line:match(pattern)
    if words then found[#found + 1] = words end
  end
  return table.concat(found, "\n")
end

describe("docker_build", function()
  if not support.services() then
    it("builds on a real daemon", function() pending("no services: run tests/run.sh") end)
    return
  end

  local site, scratch
  before_each(function()
    site = builds.site()
    scratch = site.scratch
  end)
  after_each(function() scratch:remove() end)

  -- What the daemon says of the image that was built.
  local function image()
    return json.decode(site:docker("/images/" .. site:tag() .. "/json").body)
  end

  it("sends the same files by a session as by a tar", function()
    site:shell [[
      mkdir -p a/b empty 'with space'; echo deep > a/b/c; echo x > a.txt; ln a.txt hard; ln -s a/b link; ln -s nowhere broken
      echo ü > 'with space/ü'; chmod 750 a; chmod 4755 a.txt; touch 'with space/[x]'; echo no > drop.log
      printf '*.log\n' > .dockerignore ]]
    site:put("Dockerfile", "FROM busybox:1.36\nCOPY . /c\n" .. LOOK .. "\n")
    local by_session = site:good("no_cache = true")

    local connected = client.connect()
    local stream = assert(tar.context { dir = site.context })
    local reply =
      assert(connected:request { op = "build", method = "POST", path = "/build", stream = true,
      query = { version = 2, nocache = true }, body_fd = stream:fd(),
      headers = { ["Content-Type"] = "application/x-tar" } })
    local text = ""
    for line in lines.each("build", reply) do
      for _,
        log in ipairs(line.id == "moby.buildkit.trace" and trace.decode(line.aux).logs or {}) do
        text = text .. log.data
      end
    end
    assert(stream:wait())
    local expected = lines_with(text, "(it %.[^%s]* .*)$") .. lines_with(text, "^(%x+  .*)$")
    assert.equal(expected,
      lines_with(by_session.out, "(it %.[^%s]* .*)$")
      .. lines_with(by_session.out, "(%x%x%x%x%x+  %./.*)$"))
    assert.matches("it ./a/b/c 644 0:0 regular file", expected, 1, true)
  end)

  it("sends nothing when nothing changed, and one file when one did", function()
    for i = 1, 40 do site:put("f" .. i, "content " .. i) end
    local text = "FROM busybox:1.36\nCOPY . /c\n"
    site:put("Dockerfile", text)
    assert.is_true(site:good().result.context.files >= 41)
    local again, files, bytes = site:good().result, engine.sent(text)
    assert.equal(files, again.context.files)
    assert.is_true(again.cached > 0)
    site:put("f7", "changed")
    local changed = site:good().result
    assert.equal(files + 1, changed.context.files)
    assert.equal(bytes + 7, changed.context.bytes)
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
          return { files = built.context.files } ]]):format(site:tag()), { "--project", project }, nil, head)
        assert.equal(0, result.code, result.all)
        return json.decode(scratch:orch({ "show", "--json", "--project",
          project }).out).jobs[1].outputs.files
      end
      if i == 1 then assert.is_true(sent() >= 41) end
      local always = engine.sent("Dockerfile", ".dockerignore")
      assert.equal(always + 1, sent()) -- what the step made
      fs.write(project .. "/d1/f1", "CONTENT " .. i)
      assert(proc.run { argv = { "git", "-C", project, "-c", "user.name=t", "-c", "user.email=t@t",
        "commit", "-qam",
        "more" } })
      assert.equal(always + 2, sent())
    end
  end)

  it("goes by the .dockerignore that belongs to the Dockerfile", function()
    for _, name in ipairs { "a.log", "keep.log", "b.txt", "d/c.log", "d/c.txt" } do
      site:put(name, name)
    end
    site:put("Dockerfile",
      "FROM busybox:1.36\nCOPY . /c\nRUN cd /c && find . -type f | sort | tr '\\n' ' ' && echo\n")
    site:put("sub/Other",
      "FROM busybox:1.36\nCOPY . /c\nRUN cd /c && find . -type f | sort | tr '\\n' ' ' && echo\n")
    local function listed(result) return result.out:match("%./[^\n]*") end
    site:put(".dockerignore", "# all\n**/*.log\n!keep.log\nsub\nDockerfile\n.dockerignore\n")
    assert.equal("./b.txt ./d/c.txt ./keep.log ", listed(site:good("no_cache = true")))
    site:put("sub/Other.dockerignore", "*\n!d\n")
    assert.equal("./d/c.log ./d/c.txt ", listed(site:good("no_cache = true, dockerfile = 'sub/Other'")))
    site:put("sub/Other.dockerignore", "*\n!**/*.txt\n")
    assert.equal("./b.txt ./d/c.txt ", listed(site:good("no_cache = true, dockerfile = 'sub/Other'")))
    site:put(".dockerignore", "[a\n")
    local result = site:build("no_cache = true")
    assert.not_equal(0, result.code)
    assert.matches("pattern", result.err)
  end)

  it("takes a link to a directory for the context", function()
    scratch:write("real/Dockerfile", "FROM busybox:1.36\nCOPY f /f\n")
    scratch:write("real/f", scratch.dir)
    assert(fs.remove(site.context))
    site.context = scratch:path "link"
    assert(fs.symlink("real", site.context))
    local built = site:good("labels = { by = 'link' }").result
    assert.equal(2, built.context.files) -- f and the Dockerfile
    assert.equal("link", image().Config.Labels.by)
    site:good("classic = true")
  end)

  it("takes a dockerfile where there is no Dockerfile, when none is named", function()
    site:put("dockerfile", "FROM busybox:1.36\nLABEL it=small\n")
    for _, options in ipairs { "", "classic = true" } do
      site:good(options)
      assert.equal("small", image().Config.Labels.it)
    end
    site:put("Dockerfile", "FROM busybox:1.36\nLABEL it=great\n")
    site:good()
    assert.equal("great", image().Config.Labels.it)
  end)

  it("takes a Dockerfile as a text, and one outside of the context", function()
    site:put("f", "hello\n")
    local result =
      site:good [[ no_cache = true, dockerfile = "FROM busybox:1.36\nCOPY f /f\nRUN cat /f\n" ]]
    assert.matches("hello", result.out)
    result =
      site:good [[ no_cache = true, dockerfile = "FROM busybox:1.36\nCOPY f /f\nRUN cat /f | tr a-z A-Z\n" ]]
    assert.matches("HELLO", result.out)
    scratch:write("elsewhere/Dockerfile", "FROM busybox:1.36\nRUN echo outside\n")
    site:put("Dockerfile", "FROM busybox:1.36\nRUN echo inside\n")
    site:put("sub/x", "x")
    for _, options in ipairs { "no_cache = true", "no_cache = true, classic = true" } do
      for path, said in pairs { ["../elsewhere/Dockerfile"] = "outside",
        [scratch:path("elsewhere/Dockerfile")] = "outside", ["sub/../Dockerfile"] = "inside",
        [site.context .. "/./Dockerfile"] = "inside" } do
        local built = site:good(("%s, dockerfile = %q"):format(options, path))
        assert.matches("\n%s+" .. said .. "\n", built.out)
      end
    end
    result = site:build("dockerfile = 'Dokerfile'")
    assert.equal(5, result.code, result.all)
  end)

  it("has args, labels, targets, and builds without the cache when told", function()
    site:put("Dockerfile", [[
FROM busybox:1.36 AS first
ARG WORD=none
RUN echo "word $WORD"
FROM busybox:1.36
RUN echo second
]])
    local result = site:good("args = { WORD = 'given' }, labels = { a = 'b c' }, target = 'first'")
    assert.matches("word given", result.out)
    assert.is_nil(result.out:find("echo second", 1, true))
    assert.equal("b c", image().Config.Labels.a)
    result = site:good("args = { WORD = 'given' }, target = 'first'")
    assert.is_nil(result.out:find("\n%s+word given"))
    local cached
    for _, vertex in ipairs(result.result.vertexes) do
      if vertex.name:find("echo", 1, true) then cached = vertex.cached end
    end
    assert.is_true(cached)
    assert.matches("\n%s+word given",
      site:good("args = { WORD = 'given' }, target = 'first', no_cache = true").out)
    result = site:build("target = 'none'")
    assert.equal(1, result.code, result.all)
    assert.matches("none", result.err)
  end)

  it("builds for another platform, and steps without a network", function()
    site:put("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
    site:good("platform = 'linux/arm64'")
    assert.equal("arm64", image().Architecture)
    site:put("Dockerfile",
      "FROM busybox:1.36\nARG PORT\nRUN echo port $PORT, devices $(ls /sys/class/net)\n")
    assert.matches("\n%s+port 80, devices lo\n", site:good("network = 'none', args = { PORT = 80 }").out)
  end)

  it("writes the result's files to a tar or a directory", function()
    site:put("f", "made\n")
    site:put("Dockerfile", "FROM scratch\nCOPY f /dir/f\n")
    local file = scratch:path("out.tar")
    local result = site:good(("tags = {}, output = %q"):format(file))
    assert.is_nil(result.result.image)
    assert.equal("dir/f", assert(tar.list { file = file })[2].path)
    site:good(("tags = {}, output = %q"):format(scratch:path("out")))
    assert.equal("made\n", fs.read(scratch:path("out/dir/f")))
    assert.same({}, scratch:leftovers())
  end)

  it("refuses what the classic builder cannot", function()
    site:put("Dockerfile", "FROM busybox:1.36\n")
    local result = site:build("classic = true, ssh = '/x'")
    assert.equal(2, result.code, result.all)
    assert.matches("option 'ssh' needs BuildKit", result.err, 1, true)
    site:good("classic = true")
  end)
end)
