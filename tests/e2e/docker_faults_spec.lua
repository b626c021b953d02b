-- Builds and pushes when their daemon is killed, hangs, has a full disk, or when its answers are
-- broken.
local daemon = require "e2e.daemon"
local fs = require "orch.fs"
local proc = require "orch.proc"
local support = require "e2e.support"
local task = require "orch.task"

if not support.services() then
  describe("a docker verb", function()
    it("fails on a real daemon", function() pending("no services: run tests/run.sh") end)
  end)
  return
end

local PASSWORD <const> = os.getenv("ORCH_TEST_REGISTRY_PASSWORD")
local BASE <const> = "spec-faults:base"
local INSECURE <const> = '{ "shutdown-timeout": 2, "insecure-registries": ["10.0.0.0/8"] }'

describe("a docker verb", function()
  local scratch, own, helper
  before_each(function()
    scratch = support.scratch { ORCH_TEST_REGISTRY_PASSWORD = PASSWORD }
    scratch:write("context/Dockerfile", "FROM " .. BASE .. "\nCOPY . /c\nRUN echo begun; sleep 5\n")
  end)

  local function stop()
    if helper then
      helper:cancel()
      helper:wait()
    end
    if own then own:stop() end
    own, helper = nil, nil
  end
  after_each(function()
    stop()
    scratch:remove()
  end)

  -- A daemon of its own must have ended when the test is looked over, also when it has failed.
  local function case(name, f)
    it(name, function()
      local _ <close> = setmetatable({}, { __close = stop })
      f()
    end)
  end

  local function begin_daemon(spec)
    spec.images = { BASE }
    own = daemon.start(spec)
    scratch.env.DOCKER_HOST = own:env().DOCKER_HOST
  end

  local function serve(...)
    helper = assert(proc.start { argv = { ... } })
    return assert(helper:read()):match("%d+")
  end

  -- What stands between orch and the daemon.
  local function between(...)
    local port = serve("/usr/bin/python3", support.root .. "/tests/e2e/servers.py", ...)
    scratch.env.DOCKER_HOST = "tcp://127.0.0.1:" .. port
  end

  -- A job's body, begun, and read until these words.
  local function begin(body, words)
    scratch:write("recipe.lua", ([[
local orch = require "orch"
return orch.job { name = "job", secrets = { "ORCH_TEST_REGISTRY_PASSWORD" }, run = function(job)
  job:run { "echo first >> %s", name = "first" }
%s
end }]]):format(scratch:path("effects"), body))
    local child, text = scratch:start({ "run", scratch:path("recipe.lua") }), ""
    while words and not text:find(words, 1, true) do
      text = text .. (child:read() or error("it has ended: " .. text))
    end
    return child, text
  end

  -- How it ended, within so many seconds, with these words.
  local function finish(child, code, seconds, ...)
    local begun, text = task.clock(), ""
    for piece in child.read, child do text = text .. piece end
    assert.equal(code, assert(child:wait()).code, text)
    assert.is_true(task.clock() - begun < seconds, text)
    for _, words in ipairs { ... } do assert.matches(words, text, 1, true) end
    assert.is_nil(text:find(PASSWORD, 1, true))
    return text
  end

  local function nothing_left() assert.same({}, scratch:leftovers()) end

  local function resume()
    local result = scratch:orch { "resume", "1" }
    assert.equal(0, result.code, result.all)
    assert.equal("first\n", fs.read(scratch:path("effects")))
    assert.same({}, scratch:leftovers(true))
    return result
  end

  local function build_body(more)
    return ("  job:docker_build { context = %q, tags = { 'spec-faults:built' }, %s }"):format(scratch:path("context"),
      more or "")
  end

  case("whose daemon is killed in mid-build says so, and is resumed", function()
    begin_daemon {}
    local child = begin(build_body(), "begun")
    own:kill()
    finish(child, 4, 20, "ended early",
      "is the daemon running? When it is, `orch resume` does this step again")
    nothing_left()
    local result = scratch:orch { "resume", "1" }
    assert.equal(4, result.code, result.all)
    assert.matches("cannot connect to the socket", result.err, 1, true)
    assert.matches("`orch doctor` tells more", result.err, 1, true)
    own:again()
    resume()
  end)

  case("gives a silent socket up", function()
    local port = serve("/usr/bin/python3", support.root .. "/tests/e2e/servers.py", "silent")
    scratch.env.DOCKER_HOST = "tcp://127.0.0.1:" .. port
    finish(begin(build_body()), 8, 30, "was silent for too long", "`orch doctor` tells more")
    nothing_left()
  end)

  for how, words in pairs { cut = "ended early", garble = "sent a broken answer" } do
    case(("whose answer is broken (%s) says so, and is resumed"):format(how), function()
      begin_daemon {}
      between(how, own.dir .. "/sock", '"id":"moby.image.id"')
      finish(begin(build_body()), 4, 40, words, "`orch resume` does this step again")
      nothing_left()
      resume() -- what stands between breaks one answer
    end)
  end

  case("whose daemon has no room left says so, and is resumed", function()
    begin_daemon { size = "60m" }
    scratch:write("context/Dockerfile",
      "FROM " .. BASE .. "\nRUN head -c 100000000 /dev/zero > /big\n")
    finish(begin(build_body()), 1, 40, "Dockerfile:2: RUN head", "exit code: 1")
    nothing_left()
    scratch:write("context/Dockerfile", "FROM " .. BASE .. "\n")
    resume()
  end)

  case("that sends more than the daemon has room for says so, and is resumed", function()
    begin_daemon { size = "60m" }
    scratch:write("context/Dockerfile", "FROM " .. BASE .. "\nCOPY . /c\n")
    local big = scratch:path("context/big")
    local function refused(options, code)
      assert(proc.run { argv = { "/bin/sh", "-c", "head -c 100000000 /dev/urandom > $1", "sh",
        big } })
      finish(begin(build_body(options)), code, 40, "no space left on device",
        "the daemon's disk is full: `docker system df`")
      nothing_left()
      assert(fs.remove(big))
    end
    refused(nil, 1)
    own:kill "TERM" -- it still holds the file that it has deleted, until Go's collector closes it
    own:again()
    resume()
    refused("classic = true", 4) -- a request that is refused, not a build that fails
  end)

  case("whose daemon is killed in mid-push tries again until it is back", function()
    begin_daemon { config = INSECURE }
    local host = ("%s:%s"):format(own.near,
      serve(support.root .. "/tests/services/registry_proxy.py",
      os.getenv("ORCH_TEST_REGISTRY"), "--address", own.near, "--drip", "0.05"))
    local name = host .. "/push/" .. scratch.dir:match("[^-]+$"):lower() .. ":1"
    scratch:write("context/Dockerfile",
      "FROM " .. BASE .. "\nRUN head -c 5000000 /dev/urandom > /big\n")
    local child = begin(([[
  job:docker_login { registry = %q, username = "AWS", password = job.secrets.ORCH_TEST_REGISTRY_PASSWORD }
  job:docker_build { context = %q, tags = { %q } }
  job:docker_push(%q)]]):format(host, scratch:path("context"), name, name), "docker_push  (")
    task.sleep(0.5)
    own:kill()
    own:again()
    finish(child, 0, 60, "ended early", "trying again in", "  layer ", "pushed")
    assert.same({}, scratch:leftovers(true))
  end)

  case("whose daemon hangs in mid-build is given up", function()
    begin_daemon {}
    local child = begin(build_body(), "begun")
    own:kill "STOP"
    finish(child, 8, 120, "no sign of life for 60 s", "`orch resume` does this step again")
    nothing_left()
    own:kill "CONT"
    resume()
  end)
end)
