-- The daemon reached in every way: a socket of any version, TCP with TLS, ssh, contexts, podman.
local fs = require "orch.fs"
local hash = require "orch.hash"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"
local task = require "orch.task"

local SETUP <const> = "local d = job:setup_remote_docker() job:log('host %s api %s', d.host, d.api)"
local NO_DOCKER <const> = { DOCKER_HOST = false, DOCKER_CONTEXT = false, DOCKER_TLS = false,
  DOCKER_TLS_VERIFY = false,
  DOCKER_CERT_PATH = false, DOCKER_API_VERSION = false, XDG_RUNTIME_DIR = false }

describe("the docker daemon", function()
  local scratch, children
  before_each(function()
    scratch = support.scratch()
    children = {}
  end)
  local function stop()
    for _, child in ipairs(children) do
      child:cancel()
      child:wait()
    end
    children = {}
  end
  after_each(function()
    stop()
    scratch:remove()
  end)

  -- A test that starts servers itself must have ended them when it is looked over, also when it has
  -- failed.
  local function case(name, f)
    it(name, function()
      local _ <close> = setmetatable({}, { __close = stop })
      f()
    end)
  end

  local function start(argv, env)
    local child = assert(proc.start { argv = argv, env = env })
    children[#children + 1] = child
    return child
  end

  local function server(...)
    local child = start { "/usr/bin/python3", support.root .. "/tests/e2e/servers.py", ... }
    return assert(child:read()):match("%d+"), child
  end

  local function sh(script, ...)
    local result =
      assert(proc.run { argv = { "/bin/sh", "-ec", script, "sh", ... }, cwd = scratch.dir })
    assert.equal(0, result.code, result.stdout)
    return result.stdout
  end

  local function run(body, env)
    local all = {}
    for name, value in pairs(NO_DOCKER) do all[name] = value end
    all.DOCKER_CONFIG = scratch:path("config")
    for name, value in pairs(env) do all[name] = value end
    return scratch:recipe(body, {}, all)
  end

  local function says(result, code, ...)
    assert.equal(code, result.code, result.all)
    for _, words in ipairs { ... } do
      assert.is_truthy(result.all:find(words, 1, true),
        ("%q is not in:\n%s"):format(words, result.all))
    end
  end

  local function fake(api, oldest)
    local path = scratch:path("fake" .. #children .. ".sock")
    local _, child = server("fake", path, api, oldest)
    return { DOCKER_HOST = "unix://" .. path }, child
  end

  case("is spoken to in the newest version that both know", function()
    for api,
      agreed in pairs { ["1.41"] = "1.41", ["1.47"] = "1.47", ["1.55"] = "1.55",
      ["1.56"] = "1.55" } do
      says(run(SETUP, (fake(api))), 0, "api " .. agreed)
    end
    says(run(SETUP, (fake("1.60", "1.55"))), 0, "api 1.55")
  end)

  case("is refused clearly when no version is common", function()
    says(run(SETUP, (fake("1.40"))), 4, "speaks API 1.40; 1.41 (Docker 20.10) or newer is needed")
    says(run(SETUP, (fake("1.70", "1.56"))), 4, "speaks API 1.56 to 1.70", "1.41 to 1.55",
      "a newer orch is needed")
    says(run(SETUP, (fake(""))), 4, "does not say which API it speaks")
  end)

  case("is spoken to in the version that DOCKER_API_VERSION pins", function()
    local env = fake("1.47")
    env.DOCKER_API_VERSION = "1.43"
    says(run(SETUP, env), 0, "api 1.43")
    env.DOCKER_API_VERSION = "1.50"
    says(run(SETUP, env), 2, "speaks API 1.47 at most; DOCKER_API_VERSION asks for 1.50")
    for _, version in ipairs { "1.30", "9.9", "x" } do
      env.DOCKER_API_VERSION = version
      says(run(SETUP, env), 2,
        ("DOCKER_API_VERSION is '%s'; this orch speaks 1.41 to 1.55"):format(version))
    end
  end)

  case("is asked once a job, by all branches", function()
    local env, child = fake("1.41")
    says(run([[
      orch.all { a = function() job:setup_remote_docker() end, b = function() job:setup_remote_docker() end,
        c = function() job:setup_remote_docker() end }
      pcall(job.docker_push, job, { "x/y", all_tags = true })]], env), 0)
    local asked = ""
    while not asked:find("json", 1, true) do asked = asked .. assert(child:read()) end
    assert.matches("^\n?/_ping\n/v1.41/images/json", asked)
  end)

  case("is the rootless one where the other does not answer", function()
    local path = scratch:path("run/docker.sock")
    assert(fs.make_dir(scratch:path("run")))
    server("fake", path, "1.47")
    if fs.stat("/var/run/docker.sock") then pending "a daemon of this machine comes first" end
    says(run(SETUP, { XDG_RUNTIME_DIR = scratch:path("run") }), 0, "host unix://" .. path)
  end)

  case("is not spoken to in the clear", function()
    says(run(SETUP, { DOCKER_HOST = "tcp://10.255.255.1:2375" }), 2, "without TLS",
      "try: set DOCKER_TLS_VERIFY=1")
    says(run(SETUP, { DOCKER_CONTEXT = "nowhere" }), 5, "there is no docker context 'nowhere'")
  end)

  if not support.services() then
    it("is real", function() pending("no services: run tests/run.sh") end)
    return
  end

  local socket = os.getenv("DOCKER_HOST"):match("^unix://(.*)")
  -- Asks more than a ping, with a body that streams.
  local LOAD <const> = [[job:setup_remote_docker()
    job:image_save { images = "busybox:1.36", file = "b.tar" }
    job:log("loaded %s", job:image_load("b.tar")[1])
    job:write { path = "Dockerfile", text = "FROM busybox:1.36\nRUN true\n" }
    job:docker_build { tags = { "spec/endpoint:1" } }
    job:run "docker version --format '{{.Server.Version}}' || echo no docker"]]

  case("is reached over tcp on loopback", function()
    local port = server("plain", socket)
    says(run(LOAD, { DOCKER_HOST = "tcp://127.0.0.1:" .. port }), 0, "loaded busybox:1.36")
  end)

  describe("over TLS", function()
    local port
    before_each(function()
      sh [[mkdir mine theirs
        make() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout "$1.key" \
          -out "$1.pem" -subj "/CN=$2" -addext "subjectAltName=$3" $4 2>/dev/null; }
        make ca ca DNS:ca; make server 127.0.0.1 IP:127.0.0.1 "-CA ca.pem -CAkey ca.key"
        make me me DNS:me "-CA ca.pem -CAkey ca.key"; make other other DNS:other
        cp ca.pem mine/ca.pem; cp me.pem mine/cert.pem; cp me.key mine/key.pem
        cp other.pem theirs/ca.pem; cp me.pem theirs/cert.pem; cp me.key theirs/key.pem]]
      port = server("tls", socket, scratch:path("server.pem"), scratch:path("server.key"),
        scratch:path("ca.pem"))
    end)

    local function env(dir)
      return { DOCKER_HOST = "tcp://127.0.0.1:" .. port, DOCKER_TLS_VERIFY = "0",
        DOCKER_CERT_PATH = scratch:path(dir) }
    end

    case("is reached with a certificate of ours, and so are the steps' programs", function()
      says(run(LOAD .. "\njob:run 'env | sort | grep ^DOCKER_'", env "mine"), 0,
        "loaded busybox:1.36", "20.10",
        "DOCKER_CERT_PATH=" .. scratch:path("mine"), "DOCKER_TLS_VERIFY=1")
    end)

    case("is not believed under another authority, and does not believe us without a certificate",
      function()
      says(run(SETUP, env "theirs"), 4, "docker at tcp://127.0.0.1:" .. port, "theirs")
      assert(fs.remove(scratch:path("mine/cert.pem")))
      assert(fs.remove(scratch:path("mine/key.pem")))
      says(run(SETUP, env "mine"), 4, "docker at tcp://127.0.0.1:" .. port)
    end)

    case("is a context with its certificates", function()
      local id = hash.sha256("far")
      scratch:write(("config/contexts/meta/%s/meta.json"):format(id), json.encode { Name = "far",
        Endpoints = { docker = { Host = "tcp://127.0.0.1:" .. port, SkipTLSVerify = false } } })
      assert(fs.make_dir(scratch:path("config/contexts/tls/" .. id)))
      sh('cp -r mine "config/contexts/tls/$1/docker"', id)
      says(run(LOAD, { DOCKER_CONTEXT = "far" }), 0, "loaded busybox:1.36", "20.10")
      scratch:write("config/config.json", '{"currentContext": "far"}')
      says(run(LOAD, {}), 0, "loaded busybox:1.36")
    end)
  end)

  describe("over ssh", function()
    local port, env
    before_each(function()
      port =
        sh [[python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])']]
        :match("%d+")
      sh([[ssh-keygen -q -t ed25519 -N '' -f host; ssh-keygen -q -t ed25519 -N '' -f mine; cp mine.pub authorized
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
        printf '#!/bin/sh\nexec /usr/bin/ssh -F %s/ssh_config "$@"\n' "$PWD" > bin/ssh; chmod 755 bin/ssh]], port)
      local sshd = start { "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-p", port, "-o",
        "ListenAddress=127.0.0.1",
        "-o", "HostKey=" .. scratch:path("host"), "-o", "PidFile=none", "-o", "UsePAM=no", "-o",
        "StrictModes=no",
        "-o", "AuthorizedKeysFile=" .. scratch:path("authorized") }
      while not assert(sshd:read()):find "listening" do end
      env = { PATH = scratch:path("bin") .. ":" .. os.getenv("PATH") }
    end)

    local function left()
      local found =
        assert(proc.run { argv = { "pgrep", "-f", "[s]sh .*" .. scratch:path("ssh_config") } })
      return found.stdout
    end

    case("is reached by the user's ssh, for as long as the job", function()
      env.DOCKER_HOST = "ssh://box" .. socket
      local result = run(LOAD .. [[

        job:run "stat -c 'mode %a %F' ${DOCKER_HOST#unix://}"
        job:defer(function() job:log("deferred %s", job:image_exists("busybox:1.36")) end)]], env)
      says(result, 0, "loaded busybox:1.36", "20.10", "mode 600 socket", "deferred sha256:")
      assert.equal("", left())
      assert.same({}, scratch:leftovers(true))
      env.DOCKER_HOST = ("ssh://root@127.0.0.1:%s%s"):format(port, socket)
      says(run(SETUP, env), 0, "api 1.41")
    end)

    case("is left behind by a job that fails or is interrupted", function()
      env.DOCKER_HOST = "ssh://box" .. socket
      says(run(SETUP .. "\norch.fail('no')", env), 1, "no")
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
      says(run(SETUP, env), 4, "ssh to nowhere.invalid", "BatchMode=yes nowhere.invalid true`")
      env.DOCKER_HOST = "ssh://box/none.sock"
      says(run(SETUP, env), 4, "nobody answers at /none.sock on box", "is the daemon running there")
      sh "ssh-keygen -q -t ed25519 -N '' -f other; cp other.pub authorized"
      env.DOCKER_HOST = "ssh://box"
      says(run(SETUP, env), 3, "ssh to box", "Permission denied")
      sh "ssh-keygen -q -t ed25519 -N '' -f evil"
      sh "printf '%s %s\n' \"$(cut -d' ' -f1 known)\" \"$(cat evil.pub)\" > known"
      says(run(SETUP, env), 4, "the host's key is not the one that known_hosts has",
        "somebody may stand between")
      sh ": > known"
      says(run(SETUP, env), 4, "the host's key is not known here", "`ssh box`")
      says(run(SETUP, { DOCKER_HOST = "ssh://box", PATH = scratch:path("none") }), 5, "ssh to box",
        "install ssh's client")
      env.DOCKER_HOST = "ssh://-oProxyCommand=touch${IFS}x"
      says(run(SETUP, env), 2, "begins with '-'")
    end)
  end)

  case("may be podman, the classic dialect", function()
    if assert(proc.run { argv = { "/bin/sh", "-c", "command -v podman" } }).code ~= 0 then
      pending "no podman"
    end
    local path = scratch:path("podman.sock")
    local quiet = fs.environment()
    quiet.DOCKER_HOST = nil
    start({ "podman", "--root", scratch:path("pod/root"), "--runroot", scratch:path("pod/run"),
      "--storage-driver", "vfs",
      "--cgroup-manager", "cgroupfs", "--events-backend", "file", "system", "service", "-t", "0",
      "unix://" .. path }, quiet)
    for _ = 1, 200 do
      if fs.stat(path) then break end
      task.sleep(0.05)
    end
    local registry = os.getenv("ORCH_TEST_REGISTRY")
    local result = scratch:recipe(([[
      local name = %q
      job:docker_login { registry = %q, username = "AWS", password = job.secrets.ORCH_TEST_REGISTRY_PASSWORD }
      job:write { path = "Dockerfile", text = "FROM scratch\nCOPY f /f\n" }
      job:write { path = "f", text = name }
      job:docker_build { tags = { name .. ":1" } }
      local pushed = job:docker_push { name .. ":1" }
      job:log("same %%s", tostring(job:image_exists { name .. ":1", remote = true } == pushed[1].digest))
      job:image_save { images = name .. ":1", file = "x.tar" }
      job:image_remove(name .. ":1")
      job:log("here %%s", tostring(job:image_exists(name .. ":1")))
      job:log("loaded %%s", job:image_load("x.tar")[1])]]):format(registry .. "/pod/" .. scratch.dir:match("[^-]+$"):lower(),
      registry), {}, { DOCKER_HOST = "unix://" .. path },
        "secrets = { 'ORCH_TEST_REGISTRY_PASSWORD' },")
    says(result, 0, "same true", "here false", "loaded " .. registry .. "/pod/")
    result =
      scratch:recipe(("job:docker_login { registry = %q, username = 'AWS', password = job.secrets.WRONG }")
      :format(registry), {}, { DOCKER_HOST = "unix://" .. path, WRONG = "wrong-wrong-wrong" },
        "secrets = { 'WRONG' },")
    says(result, 3, "401")
  end)
end)
