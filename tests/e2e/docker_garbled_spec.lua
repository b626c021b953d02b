-- Daemons that answer a build, a push or a pull with what no daemon says.
local proc = require "orch.proc"
local support = require "e2e.support"

local ANSWERS <const> = {
  ["no JSON"] = "<html>\n", ["half a line"] = '{"status":"x', ["bytes of NUL"] = ("\0"):rep(100),
  ["10,000 levels"] = ('{"a":'):rep(10000) .. "1" .. ("}"):rep(10000) .. "\n",
  ["10,000 digits"] = '{"progressDetail":{"total":' .. ("9"):rep(10000) .. "}}\n",
  ["a number for a text"] = '{"status":5,"id":6}\n', ["a text for an object"] = '{"errorDetail":7}\n',
  ["a total that is none"] = '{"id":"a","status":"x","progressDetail":{"total":{}}}\n',
  ["a trace without bytes"] = '{"id":"moby.buildkit.trace","aux":{}}\n',
}

describe("a garbled answer to", function()
  local scratch, helper
  setup(function()
    scratch = support.scratch()
    scratch.env.DOCKER_HOST = "unix://" .. scratch:path("sock")
    helper = assert(proc.start { argv = { "/usr/bin/python3", support.root .. "/tests/e2e/servers.py",
      "answers", scratch:path("sock") } })
    assert.matches("listens", assert(helper:read()))
    scratch:write("context/Dockerfile", "FROM scratch\n")
  end)
  teardown(function()
    helper:cancel()
    helper:wait()
    scratch:remove()
  end)

  local function fails(code, words, body, answer, head)
    scratch:write("sock.answer", answer)
    local result = scratch:recipe(body, nil, nil, head)
    assert.equal(code, result.code, result.all)
    assert.matches(words, result.err, 1, true)
    local _, errors = ("\n" .. result.err):gsub("\norch[ %l]*: ", "")
    assert.equal(1, errors, result.err)
    assert.is_nil(result.all:find("traceback", 1, true), result.all)
    assert.is_nil(result.all:find("[^\n\t\x20-\x7e\x80-\xff]"), result.all)
    assert.same({}, scratch:leftovers())
  end

  local function build()
    return ("job:docker_build { context = %q, tags = { 'a/b:1' }, classic = true }"):format(
      scratch:path("context"))
  end

  for name, answer in pairs(ANSWERS) do
    it("a build is one clear error: " .. name, function()
      fails(4, "docker build: the daemon sent a line ", build(), answer)
    end)
  end

  it("a build may be no line without end", function()
    fails(8, "docker build: the daemon sent an endless line", build(), "")
  end)

  it("a push or a pull is one clear error", function()
    for verb, body in pairs { push = "job:docker_push { 'localhost:1/a/b:1' }",
      pull = "job:docker_pull 'localhost:1/a/b:1'" } do
      fails(4, ("docker %s localhost:1/a/b:1: the daemon sent a line whose 'status'"):format(verb),
        body, '{"status":5}\n')
      fails(8, "the daemon sent an endless line", body, "")
    end
  end)

  it("a build, push, pull or load may tell without end of nothing new", function()
    local push, head = "job:docker_push { 'localhost:1/a/b:1' }", "timeout = '20s',"
    fails(8, "docker push localhost:1/a/b:1: the daemon tells of more than 50000 layers", push,
      'endless {"id":"N","status":"Waiting"}\n', head)
    fails(8, "docker build: the daemon tells of more than 10000 steps", build(), "endless trace",
      head)
    scratch:write("images.tar", "")
    fails(8, "docker load: the daemon tells of more than 10000 images",
      ("job:image_load { file = %q }"):format(scratch:path("images.tar")),
      'endless {"stream":"Loaded image: a/N\\n"}\n', head)
    fails(4, "docker push localhost:1/a/b:1: xxx", push, "endless words", head)
  end)
end)
