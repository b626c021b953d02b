-- Servers through which a daemon is reached, ended with their test, and jobs that reach it.
local assert = require "luassert"
local proc = require "orch.proc"
local support = require "e2e.support"

local SETUP <const> = "local d = job:setup_remote_docker() job:log('host %s api %s', d.host, d.api)"
-- Asks more than a ping, with a body that streams.
local LOAD <const> = [[job:setup_remote_docker()
    job:image_save { images = "busybox:1.36", file = "b.tar" }
    job:log("loaded %s", job:image_load("b.tar")[1])
    job:write { path = "Dockerfile", text = "FROM busybox:1.36\nRUN true\n" }
    job:docker_build { tags = { "spec/endpoint:1" } }
    job:run "docker version --format '{{.Server.Version}}' || echo no docker"]]

local NO_DOCKER <const> = { DOCKER_HOST = false, DOCKER_CONTEXT = false, DOCKER_TLS = false,
  DOCKER_TLS_VERIFY = false,
  DOCKER_CERT_PATH = false, DOCKER_API_VERSION = false, XDG_RUNTIME_DIR = false }

local Place = {}
Place.__index = Place

--- A program that is ended with the place.
function Place:start(argv, env)
  local child = assert(proc.start { argv = argv, env = env })
  self.children[#self.children + 1] = child
  return child
end

--- A server of servers.py: its port, and the child.
function Place:server(...)
  local child = self:start { "/usr/bin/python3", support.root .. "/tests/e2e/servers.py", ... }
  return assert(child:read()):match("%d+"), child
end

--- Runs a script in the scratch directory; what it prints.
function Place:sh(script, ...)
  local result =
    assert(proc.run { argv = { "/bin/sh", "-ec", script, "sh", ... }, cwd = self.scratch.dir })
  assert.equal(0, result.code, result.stdout)
  return result.stdout
end

--- A recipe of one job with this body, run with no daemon but what env says.
function Place:run(body, env)
  local all = {}
  for name, value in pairs(NO_DOCKER) do all[name] = value end
  all.DOCKER_CONFIG = self.scratch:path("config")
  for name, value in pairs(env) do all[name] = value end
  return self.scratch:recipe(body, {}, all)
end

-- Keys, an address book and a program `ssh` that knows no others.
local SSH <const> = [[
  ssh-keygen -q -t ed25519 -N '' -f host; ssh-keygen -q -t ed25519 -N '' -f mine; cp mine.pub authorized
  mkdir -p /run/sshd bin; printf '[127.0.0.1]:%s %s\n' "$1" "$(cat host.pub)" > known
  cat > ssh_config <<E
Host *
  IdentityFile $PWD/mine
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile $PWD/known
  StrictHostKeyChecking yes
Host box
  HostName 127.0.0.1
  Port $1
  User root
E
  printf '#!/bin/sh\nexec /usr/bin/ssh -F %s/ssh_config "$@"\n' "$PWD" > bin/ssh; chmod 755 bin/ssh]]

--- A server of ssh on this machine, called box: its port, and the environment that has the ssh for
--- it.
function Place:sshd()
  local scratch = self.scratch
  local port =
    self:sh [[python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])']]
    :match("%d+")
  self:sh(SSH, port)
  local sshd = self:start { "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-p", port, "-o",
    "ListenAddress=127.0.0.1", "-o", "HostKey=" .. scratch:path("host"), "-o", "PidFile=none",
    "-o", "UsePAM=no", "-o", "StrictModes=no", "-o",
    "AuthorizedKeysFile=" .. scratch:path("authorized") }
  while not assert(sshd:read()):find "listening" do end
  return port, { PATH = scratch:path("bin") .. ":" .. os.getenv("PATH") }
end

function Place:stop()
  for _, child in ipairs(self.children) do
    child:cancel()
    child:wait()
  end
  self.children = {}
end

Place.__close = Place.stop

function Place:remove()
  self:stop()
  self.scratch:remove()
end

--- A run's exit code, and words that it printed.
local function says(result, code, ...)
  assert.equal(code, result.code, result.all)
  for _, words in ipairs { ... } do
    assert.is_truthy(result.all:find(words, 1, true),
      ("%q is not in:\n%s"):format(words, result.all))
  end
end

local function place()
  return setmetatable({ scratch = support.scratch(), children = {} }, Place)
end

return { place = place, says = says, SETUP = SETUP, LOAD = LOAD }
