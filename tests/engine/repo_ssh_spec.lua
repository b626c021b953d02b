local proc = require "orch.proc"
local repositories = require "engine.servers.repositories"

local SSHD = "/usr/sbin/sshd"

local function there(path)
  local file <close> = io.open(path)
  return file ~= nil
end

describe("repo.checkout over ssh", function()
  if not there(SSHD) or proc.run { argv = { "id", "-u" } }.stdout ~= "0\n" then
    pending "needs sshd and root"
    return
  end

  local box, sshd, program

  -- ssh_config with a host "box" of that key.
  local function config(name, key, known)
    local path = box.dir .. "/" .. name
    box:sh([[cat > "$1" <<E
Host box
  HostName 127.0.0.1
  Port $2
  User root
  IdentityFile $3
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile $4
  StrictHostKeyChecking yes
E]], path, tostring(sshd.port), key, known)
    return "ssh -F " .. path
  end

  -- The helper inherits our environment, so another orch is asked.
  local function checkout(url, command, into)
    local result = assert(proc.run {
      argv = { program, "lua", box.dir .. "/ask.lua", url, into },
      env = { PATH = os.getenv "PATH", HOME = box.dir, ORCH_LUA = os.getenv "ORCH_LUA",
        GIT_SSH_COMMAND = command,
        ASAN_OPTIONS = os.getenv "ASAN_OPTIONS", LSAN_OPTIONS = os.getenv "LSAN_OPTIONS" },
    })
    return result.stdout
  end

  setup(function()
    box = repositories.box()
    program = box:program()
    box:sh([[cd "$1"; ssh-keygen -q -t ed25519 -N '' -f host; ssh-keygen -q -t rsa -N '' -f mine
      ssh-keygen -q -t ed25519 -N '' -f other; cp mine.pub authorized; mkdir -p /run/sshd
      cat > ask.lua <<'E'
local r, err = require "orch.repo".checkout { url = (...), into = (select(2, ...)) }
print(r and r.sha or err.kind .. ": " .. err.message)
E]], box.dir)
    local port =
      tonumber(box:sh [[python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])']])
    sshd = { port = port,
      child =
      assert(proc.start { argv = { SSHD, "-D", "-e", "-f", "/dev/null", "-p", tostring(port),
      "-o", "ListenAddress=127.0.0.1", "-o", "HostKey=" .. box.dir .. "/host", "-o", "PidFile=none",
      "-o", "UsePAM=no",
      "-o", "StrictModes=no", "-o", "AuthorizedKeysFile=" .. box.dir .. "/authorized" } }) }
    while not assert(sshd.child:read()):find "listening" do end
    box:sh([[cd "$1"; printf '[127.0.0.1]:%s %s\n' "$2" "$(cat host.pub)" > known; : > nobody]],
      box.dir, tostring(port))
  end)

  teardown(function()
    sshd.child:cancel()
    sshd.child:wait()
    box:remove()
  end)

  it("takes ssh:// and user@host:path, with ssh's own configuration", function()
    local command = config("good", box.dir .. "/mine", box.dir .. "/known")
    local wanted = box:git { "-C", box.app, "rev-parse", "main" } .. "\n"
    for _, url in ipairs { "ssh://box" .. box.app, "box:" .. box.app, "root@box:" .. box.app,
      ("ssh://root@box:%d%s"):format(sshd.port, box.app) } do
      local into, twin = box:fresh(), box:fresh()
      assert.equal(wanted, checkout(url, command, into))
      box:git { "clone", "-q", box.app, twin }
      assert.same(box:tree(twin), box:tree(into))
      assert.equal("", box:git { "-C", into, "status", "--porcelain" })
      assert.equal(url, box:git { "-C", into, "remote", "get-url", "origin" })
    end
    local odd = box.dir .. "/it's odd!.git"
    box:git { "clone", "-q", "--bare", box.app, odd }
    assert.equal(wanted, checkout("box:" .. odd, command, box:fresh()))
  end)

  it("tells what ssh said", function()
    local good = config("good", box.dir .. "/mine", box.dir .. "/known")
    local into = box:fresh()
    assert.matches("^missing: .*box:/nothing.git.*not appear to be a git",
      checkout("box:/nothing.git", good, into))
    assert.matches("^auth: .*Permission denied", checkout("box:" .. box.app,
      config("wrong", box.dir .. "/other", box.dir .. "/known"), into))
    assert.matches("^auth: .*Host key verification failed", checkout("box:" .. box.app,
      config("stranger", box.dir .. "/mine", box.dir .. "/nobody"), into))
    assert.matches("^net: .*Connection refused", checkout("ssh://box:1" .. box.app, good, into))
    assert.matches("not found", checkout("box:" .. box.app, "/nothing/ssh", into))
    assert.is_nil(box:leftovers(into))
  end)

  it("keeps no more of what ssh says than a little", function()
    local said = box.dir .. "/said"
    local chatter = ([[sh -c 'yes chatter | head -n 1000000 >&2
      stat -L -c %%s /proc/self/fd/2 > %s; exit 1']]):format(said)
    assert.matches("^remote: .*ssh said: %l* chatter chatter",
      checkout("box:" .. box.app, chatter, box:fresh()))
    local size = tonumber((assert(require "orch.fs".read(said)):match("^%d+")))
    assert.equal(64 << 10, size)
  end)
end)
