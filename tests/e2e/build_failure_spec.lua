local fs = require "orch.fs"
local proc = require "orch.proc"
local support = require "e2e.support"

describe("a build that fails", function()
  if not support.services() then
    it("does so on a real daemon", function() pending("no services: run tests/run.sh") end)
    return
  end

  local scratch, context
  before_each(function()
    scratch = support.scratch()
    context = scratch:path("context")
    assert(fs.make_dir(context))
  end)
  after_each(function() scratch:remove() end)

  local function put(name, text) scratch:write("context/" .. name, text) end

  local function build(options)
    return scratch:recipe(([[
    job:docker_build { context = %q, %s }]]):format(context, options or ""))
  end

  it("shows the line and the words of a RUN that fails", function()
    put("Dockerfile",
      "FROM busybox:1.36\nARG WHAT=it\n\n# why\nRUN echo one\nRUN echo about to fail && \\\n  ls /$WHAT && exit 7\n")
    local result = build("no_cache = true")
    assert.equal(1, result.code, result.all)
    assert.matches("Dockerfile:6: RUN echo about to fail", result.err, 1, true)
    assert.matches("about to fail", result.err)
  end)

  it("shows them of the classic builder too", function()
    for text, wanted in pairs {
      ["ARG WHAT\nFROM busybox:1.36\n\n# why\nRUN echo to fail && \\\n  exit 7\n"] =
        { "docker build: Dockerfile:5: RUN echo to fail && exit 7: exit code: 7\n", "\n   to fail\n" },
      ["FROM busybox:1.36\nCOPY their /x\nCOPY there /x\n"] = { "Dockerfile:2: COPY their /x: ",
        "try: no 'their' in the context " .. context .. "; did you mean 'there'?" },
      ["FROM busybox:1.36\nRUN --mount=type=secret,id=x true\n"] =
        { "Dockerfile:2: RUN --mount=type=secret,id=x true: the --mount option requires BuildKit",
        "try: leave out classic = true" },
    } do
      put("there", "x")
      put("Dockerfile", text)
      local result = build("classic = true")
      assert.equal(1, result.code, result.all)
      for _, words in ipairs(wanted) do assert.matches(words, result.all, 1, true) end
    end
  end)

  it("says of what does not build which line it is, why, and what to do", function()
    put("sub/there", "x")
    put("left/out", "x")
    put(".dockerignore", "left\n")
    for text, wanted in pairs {
      ["RUNN x\n"] = { "docker build: Dockerfile:2: RUNN x: unknown instruction: RUNN" },
      ["COPY sub/their /x\n"] = { 'docker build: Dockerfile:2: COPY sub/their /x: "/sub',
        "try: no 'sub/their' in the context " .. context .. "; did you mean 'sub/there'?" },
      ["COPY left/out /x\n"] = { 'COPY left/out /x: "/left',
        "try: 'left/out' is in the context; does the .dockerignore leave it out?" },
      ['COPY ["./their", "/x"]\n'] = { "try: no 'their' in the context" },
      ["RUN --mount=type=secret,id=npm-tok,required=true true\n"] =
        { "true: secret npm-tok",
        'try: the step gives the build no secret \'npm-tok\': secrets = { ["npm-tok"] = job.secrets.NAME }' },
      ["RUN --mount=type=secret,id=tok cat /run/secrets/tok\n"] = { "tok: exit code: 1",
        "secrets = { tok = job.secrets.NAME }" },
    } do
      put("Dockerfile", "FROM busybox:1.36\n" .. text)
      local result = build()
      assert.equal(1, result.code, result.all)
      for _, words in ipairs(wanted) do assert.matches(words, result.err, 1, true) end
    end
    put("Dockerfile", "FROM busybox:1.36 AS one\nFROM one AS two\n")
    assert.matches('docker build: target stage "?zz"? could not be found\n',
      build("target = 'zz'").err)
    assert.matches("try: the Dockerfile's stages are: one, two",
      build("target = 'zz', classic = true").err, 1, true)
  end)

  it("names file and line of a pattern that Docker refuses", function()
    put("Dockerfile", "FROM busybox:1.36\nCOPY . /c\n")
    put(".dockerignore", "# all\na\n[a\n")
    local result = build()
    assert.equal(2, result.code, result.all)
    assert.matches('orch: .dockerignore, line 3: syntax error in pattern "[a"\n', result.err, 1,
      true)
    put("Dockerfile.dockerignore", "[b\n")
    assert.matches('orch: Dockerfile.dockerignore, line 1: syntax', build().err, 1, true)
  end)

  it("is refused before anything is sent when an option cannot be meant", function()
    put("Dockerfile", "FROM busybox:1.36\n")
    for options, wanted in pairs {
      ["network = 'bridge'"] =
        "option 'network': BuildKit knows 'default', 'none' and 'host', not 'bridge'",
      ["args = { 'A=1' }"] = "option 'args' must be { NAME = \"value\" }",
      ["args = { A = {} }"] = "option 'args': A must be a string, got table",
      ["labels = { A = require 'orch.secret'.new('x1', 'S') }"] =
        "option 'labels': A is a secret, which the image would show",
      ["secrets = { t = 'x' }"] =
        "secret 't' must be a secret (job.secrets.NAME) or { file = path }, got string",
      ["context = ''"] = "option 'context' is empty", -- not "/"
      ["dockerfile = ''"] = "option 'dockerfile' is empty",
      ["output = ''"] = "option 'output' is empty",
    } do
      local result = build(options)
      assert.equal(2, result.code, result.all)
      assert.matches("docker_build: " .. wanted, result.err, 1, true)
    end
    local result = build("secrets = { t = { file = '/nowhere/x' } }")
    assert.equal(5, result.code, result.all)
    assert.matches("docker_build: secret 't': cannot open /nowhere/x", result.err, 1, true)
  end)

  it("for want of the image that its '# syntax=' names says so", function()
    local name = "127.0.0.1:1/no/frontend:1"
    put("Dockerfile", "# syntax=" .. name .. "\nFROM busybox:1.36\n")
    local result = build("timeout = '60s'")
    assert.equal(4, result.code, result.all)
    assert.matches("docker build: Dockerfile:1: # syntax=" .. name .. ": ", result.err, 1, true)
    assert.matches("try: without a line '# syntax=' the daemon takes the builder that it has",
      result.err, 1, true)
  end)

  it("goes on by a tar where sessions are forbidden, unless something needs one", function()
    put("Dockerfile", "FROM busybox:1.36\nCOPY Dockerfile /x\n")
    local proxy =
      assert(proc.start { argv = { "/usr/bin/python3", support.root .. "/tests/e2e/servers.py",
      "without",
      os.getenv("DOCKER_HOST"):match("^unix://(.*)"), "/session" } })
    local _ <close> = setmetatable({}, { __close = function()
      proxy:cancel()
      proxy:wait()
    end })
    scratch.env.DOCKER_HOST = "tcp://127.0.0.1:" .. assert(proxy:read()):match("%d+")
    local result = build()
    assert.equal(0, result.code, result.all)
    assert.matches("no build session (the server answered 403: Forbidden): the context is sent as a tar", result.out, 1,
      true)
    result = build("secrets = { s = { file = '" .. context .. "/Dockerfile' } }")
    assert.equal(3, result.code, result.all)
    assert.matches("option 'secrets' needs a build session, which " .. scratch.env.DOCKER_HOST
      .. " refused: ", result.err,
      1, true)
    assert.matches("try: a proxy before the daemon must let POST /session through", result.err, 1,
      true)
  end)
end)
