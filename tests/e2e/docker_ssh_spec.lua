local containers = require "e2e.containers"
local endpoints = require "e2e.endpoints"
local engine = require "e2e.engine"
local proc = require "orch.proc"
local support = require "e2e.support"

local says <const> = endpoints.says
local SETUP <const>, LOAD <const> = endpoints.SETUP, endpoints.LOAD

describe("the docker daemon over ssh", function()
  if not support.services() then
    it("is real", function() pending("no services: run tests/run.sh") end)
    return
  end

  local socket = os.getenv("DOCKER_HOST"):match("^unix://(.*)")
  local place, scratch
  before_each(function()
    place = endpoints.place()
    scratch = place.scratch
  end)
  after_each(function() place:remove() end)

  -- A test that starts servers itself must have ended them when it is looked over, also when it has
  -- failed.
  local function case(name, f)
    it(name, function()
      local _ <close> = place
      f()
    end)
  end

  local port, env
  before_each(function() port, env = place:sshd() end)

  local function left()
    local found =
      assert(proc.run { argv = { "pgrep", "-f", "[s]sh .*" .. scratch:path("ssh_config") } })
    return found.stdout
  end

  case("is reached by the user's ssh, for as long as the job", function()
    env.DOCKER_HOST = "ssh://box" .. socket
    local result = place:run(LOAD .. [[

        job:run "stat -c 'mode %a %F' ${DOCKER_HOST#unix://}"
        job:defer(function() job:log("deferred %s", job:image_exists("busybox:1.36")) end)]], env)
    says(result, 0, "loaded busybox:1.36", engine.version().Version, "mode 600 socket",
      "deferred sha256:")
    assert.equal("", left())
    assert.same({}, scratch:leftovers(true))
    env.DOCKER_HOST = ("ssh://root@127.0.0.1:%s%s"):format(port, socket)
    says(place:run(SETUP, env), 0, "api " .. engine.agreed())
  end)

  case("is a shell's way into a container, to its end", function()
    env.DOCKER_HOST, env.DOCKER_CONFIG = "ssh://box" .. socket, scratch:path("config")
    local failed = scratch:recipe("job:run 'exit 1'", {}, env,
      'executor = orch.docker { image = "busybox:1.36" },')
    assert.equal(1, failed.code, failed.all)
    local result = scratch:orch({ "shell", "1", "--", "sh", "-c", "pwd; echo apart >&2; exit 9" },
      env)
    assert.same({ 9, "/work\n", "apart\n" }, { result.code, result.out, result.err })
    assert.equal("", left())
    local child = scratch:start({ "shell", "1", "--", "sh", "-c", "echo ready; exec sleep 1000" },
      env)
    assert.equal("ready\n", child:read())
    place:stop()
    local text = ""
    for piece in child.read, child do text = text .. piece end
    assert.equal(4, assert(child:wait()).code, text)
    assert.matches("is lost: ", text, 1, true)
    assert.matches("ssh://box" .. socket, text, 1, true)
    assert.is_nil(text:find("docker-ssh-", 1, true), text)
    assert.equal("", left())
    containers.remove_left()
  end)

  case("is left behind by a job that fails or is interrupted", function()
    env.DOCKER_HOST = "ssh://box" .. socket
    says(place:run(SETUP .. "\norch.fail('no')", env), 1, "no")
    assert.equal("", left())
    local path = scratch:write("long.lua", [[
local orch = require "orch"
return orch.job { name = "j", run = function(job) job:setup_remote_docker() job:run "echo started; sleep 60" end }
]])
    local all = { PATH = env.PATH, DOCKER_HOST = env.DOCKER_HOST,
      DOCKER_CONFIG = scratch:path("config") }
    local child, text = scratch:start({ "run", path }, all), ""
    while not text:find("\n   started", 1, true) do text = text .. assert(child:read(), text) end
    child:signal(2)
    for piece in child.read, child do text = text .. piece end
    assert.equal(130, assert(child:wait()).code, text)
    assert.equal("", left())
    local sockets = assert(proc.run { argv = { "find", scratch.dir, "-type", "s" } })
    assert.equal("", sockets.stdout)
  end)

  case("is refused with ssh's own words", function()
    env.DOCKER_HOST = "ssh://nowhere.invalid"
    says(place:run(SETUP, env), 4, "ssh to nowhere.invalid", "BatchMode=yes nowhere.invalid true`")
    env.DOCKER_HOST = "ssh://box/none.sock"
    says(place:run(SETUP, env), 4, "nobody answers at /none.sock on box", "is the daemon running there")
    place:sh "ssh-keygen -q -t ed25519 -N '' -f other; cp other.pub authorized"
    env.DOCKER_HOST = "ssh://box"
    says(place:run(SETUP, env), 3, "ssh to box", "Permission denied")
    place:sh "ssh-keygen -q -t ed25519 -N '' -f evil"
    place:sh "printf '%s %s\n' \"$(cut -d' ' -f1 known)\" \"$(cat evil.pub)\" > known"
    says(place:run(SETUP, env), 4, "the host's key is not the one that known_hosts has",
      "somebody may stand between")
    place:sh ": > known"
    says(place:run(SETUP, env), 4, "the host's key is not known here", "`ssh box`")
    says(place:run(SETUP, { DOCKER_HOST = "ssh://box", PATH = scratch:path("none") }), 5, "ssh to box",
      "install ssh's client")
    env.DOCKER_HOST = "ssh://-oProxyCommand=touch${IFS}x"
    says(place:run(SETUP, env), 2, "begins with '-'")
  end)
end)
