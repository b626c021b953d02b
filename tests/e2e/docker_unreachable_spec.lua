-- Daemons that do not take us, or that we do not take: certificates, ports, sockets. What it says
-- must be enough to mend it.
local fs = require "orch.fs"
local proc = require "orch.proc"
local support = require "e2e.support"

local SETUP <const> = "job:log('api %s', job:setup_remote_docker().api)"

-- ca believes server and client; other, elsewhere and late are what can be wrong with either.
local CERTIFICATES <const> = [[
  curve="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
  for ca in ca other; do openssl req -x509 $curve -days 2 -keyout $ca.key -out $ca.pem -subj /CN=$ca; done
  leaf() { # name, subject's other name, authority, days
    openssl req $curve -keyout $1.key -out $1.csr -subj /CN=$1
    echo "subjectAltName=$2" > ext
    openssl x509 -req -in $1.csr -CA $3.pem -CAkey $3.key -CAcreateserial -extfile ext -days $4 -out $1.pem
  }
  leaf server IP:127.0.0.1 ca 2; leaf late IP:127.0.0.1 ca -1; leaf elsewhere DNS:elsewhere.example ca 2
  leaf stranger IP:127.0.0.1 other 2; leaf client DNS:me ca 2; leaf client-late DNS:me ca -1
  leaf client-stranger DNS:me other 2]]

describe("a daemon that cannot be reached", function()
  local scratch, children
  before_each(function()
    scratch = support.scratch { DOCKER_TLS = false, DOCKER_TLS_VERIFY = false,
      DOCKER_CONTEXT = false,
      DOCKER_API_VERSION = false }
    scratch.env.DOCKER_CONFIG = scratch:path("config")
    children = {}
  end)
  after_each(function() scratch:remove() end)

  local function stop()
    for _, child in ipairs(children) do
      child:cancel()
      child:wait()
    end
  end

  local function server(...)
    local child =
      assert(proc.start { argv = { "/usr/bin/python3", support.root .. "/tests/e2e/servers.py",
      ... } })
    children[#children + 1] = child
    return assert(child:read()):match("%d+")
  end

  local function case(name, f)
    it(name, function()
      local _ <close> = setmetatable({}, { __close = stop })
      f()
    end)
  end

  local function fails(env, code, ...)
    local result = scratch:recipe(SETUP, {}, env)
    assert.equal(code, result.code, result.all)
    for _, words in ipairs { ... } do assert.matches(words, result.err, 1, true) end
  end

  -- The directory of a client that has this certificate and believes this authority.
  local function certificates(authority, client)
    local dir = scratch:path(("%s-%s"):format(authority, client or "none"))
    assert(fs.make_dir(dir))
    assert(fs.write(dir .. "/ca.pem", assert(fs.read(scratch:path(authority .. ".pem")))))
    for from, to in pairs(client and { [".pem"] = "/cert.pem", [".key"] = "/key.pem" } or {}) do
      assert(fs.write(dir .. to, assert(fs.read(scratch:path(client .. from)))))
    end
    return dir
  end

  case("for a certificate says which one it is, and what is wrong with it", function()
    local made =
      assert(proc.run { argv = { "/bin/sh", "-ec", CERTIFICATES }, cwd = scratch.dir,
      timeout = 60 })
    assert.equal(0, made.code, made.stdout)
    server("fake", scratch:path("sock"), "1.47")
    local function tls(name)
      return server("tls", scratch:path("sock"), scratch:path(name .. ".pem"),
        scratch:path(name .. ".key"),
        scratch:path("ca.pem"))
    end
    local function try(port, dir, code, ...)
      fails({ DOCKER_HOST = "tcp://127.0.0.1:" .. port, DOCKER_TLS_VERIFY = "1",
        DOCKER_CERT_PATH = dir }, code, ...)
    end
    local port = tls "server"
    local mine = certificates("ca", "client")
    try(port, mine, 0)
    try(port, certificates("ca"), 4, "the daemon wants a certificate of ours",
      "put cert.pem and key.pem")
    -- The daemon may hang up before its reason has come through.
    try(port, certificates("ca", "client-late"), 4, "ca-client-late/cert.pem")
    try(port, certificates("ca", "client-stranger"), 4, "ca-client-stranger/cert.pem")
    try(port, certificates("other", "client"), 4,
      "other-client/ca.pem is not the authority of the daemon's certificate")
    try(port, scratch:path("nowhere"), 4,
      "nowhere/ca.pem is not the authority of the daemon's certificate")
    assert(fs.write(certificates("ca", "server") .. "/key.pem", "no key"))
    try(port, scratch:path("ca-server"), 2,
      "is key.pem of " .. scratch:path("ca-server") .. " the key of cert.pem")
    try(tls "late", mine, 4, "the daemon's certificate has expired", "have it made anew")
    try(tls "elsewhere", mine, 4, "the daemon's certificate is for another name",
      "have it made for 127.0.0.1")
    try(tls "stranger", mine, 4,
      "ca-client/ca.pem is not the authority of the daemon's certificate")
    try(server("plain", scratch:path("sock")), mine, 4, "what listens there speaks no TLS",
      "unset DOCKER_TLS_VERIFY")
    fails({ DOCKER_HOST = "tcp://127.0.0.1:" .. port }, 4,
      "does it want TLS? Then set DOCKER_TLS_VERIFY=1")
  end)

  case("by its socket says what to do about that", function()
    fails({ DOCKER_HOST = "unix://" .. scratch:path("none") }, 5, "there is no socket",
      "start the daemon, or set DOCKER_HOST")
    scratch:write("file", "")
    fails({ DOCKER_HOST = "unix://" .. scratch:path("file") }, 4, "cannot connect to the socket",
      "start the daemon")
    fails({ DOCKER_HOST = "fd://" }, 2,
      "DOCKER_HOST is 'fd://': known are unix:///PATH, tcp://HOST:PORT and ssh://")
    fails({ DOCKER_HOST = "tcp://127.0.0.1:" .. server("bearer", "u", "p") }, 3, "HTTP status 401")
  end)

  it("for want of a right is not allowed, and is told whom to ask for it", function()
    scratch:write("s", "")
    local socket = scratch:path("s")
    local function explained(mode)
      assert(proc.run { argv = { "/bin/sh", "-c", "chgrp adm $1; chmod $0 $1", mode, socket } })
      return require "orch.docker.unreachable".explain({ host = "unix://" .. socket, unix = socket },
        { kind = "io", message = "no permission to use the socket " .. socket })
    end
    local failure = explained "660"
    assert.equal("auth", failure.kind)
    assert.matches("sudo usermod -aG adm $USER` and log in anew", failure.hint, 1, true)
    for _, words in ipairs { "rootless", "DOCKER_HOST", "orch doctor" } do
      assert.matches(words, failure.hint, 1, true)
    end
    failure = explained "600"
    assert.is_nil(failure.hint:find("usermod", 1, true))
    assert.matches("`ls -l " .. socket .. "` tells whose it is; use a rootless daemon", failure.hint,
      1, true)
  end)
end)
