local error_value = require "orch.error"
local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local secret = require "orch.secret"
local servers = require "engine.servers.servers"
local session = require "orch.session"
local task = require "orch.task"

local HEALTH <const> = "/grpc.health.v1.Health/Check"
local CREDENTIALS <const> = "/moby.filesync.v1.Auth/Credentials"
local SECRET <const> = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
local CHECK <const> = "/moby.sshforward.v1.SSH/CheckAgent"

describe("session", function()
  local dir, context, daemon, held

  -- What the daemon prints next.
  local function line()
    while not held:find("\n") do held = held .. (daemon:read() or "\n") end
    local first
    first, held = held:match("^([^\n]*)\n(.*)$")
    return first
  end

  before_each(function()
    dir = assert(fs.make_temp("/tmp/orch-session-"))
    context = dir .. "/context"
    assert(fs.make_dir(context))
  end)
  -- Makes room for the next daemon of a test.
  local function stop()
    daemon:cancel()
    daemon:wait()
    daemon = nil
    assert(fs.remove(dir .. "/socket"))
  end

  after_each(function()
    if daemon then stop() end
    assert(fs.remove(dir))
  end)

  -- The daemon of a scene, listening.
  local function start(scene, value)
    local socket = dir .. "/socket"
    daemon =
      assert(proc.start { argv = { "/usr/bin/python3", servers.dir .. "/daemon.py", socket, scene,
      json.encode(value == nil and json.null or value) }, grace = 0.1 })
    held = ""
    assert.equal("ready", line())
    return socket
  end

  local function said()
    local text = held
    for piece in daemon.read, daemon do text = text .. piece end
    local value = json.decode(text)
    if not value then error(text) end
    return value
  end

  local function open(socket, options)
    options = options or {}
    options.unix, options.api = socket, "1.41"
    return session.open(options)
  end

  -- What comes of a session that this daemon spoils.
  local function spoilt(scene, value, options)
    local s <close> = assert(open(start(scene, value), options))
    local stats, err = s:wait()
    assert.is_nil(stats)
    return err
  end

  local function write(name, text)
    local path = context .. "/" .. name
    assert(fs.make_dir(path:match("^(.*)/")))
    assert(fs.write(path, text))
  end

  local function files(value, options)
    options = options or {}
    options.dirs = options.dirs or { context = context }
    value.meta = value.meta or { { "dir-name", "context" } }
    local s <close> = assert(open(start("files", value), options))
    local answer = said()
    local stats, err = s:wait()
    return answer, stats, err
  end

  local function paths(answer)
    local list = {}
    for i, stat in ipairs(answer.stats) do list[i] = stat.path end
    return table.concat(list, " ")
  end

  it("answers what a daemon asks, and nothing to strangers", function()
    local s <close> = assert(open(start("ask", {
      { HEALTH, "" }, { CREDENTIALS, "mine.example:5000" }, { CREDENTIALS, "other.example" },
      { SECRET, "tok" },
      { SECRET, "nope" }, { CHECK, "" }, { CHECK, "git" },
      { "/moby.filesync.v1.Auth/GetTokenAuthority", "x" },
      { "/moby.filesync.v1.FileSend/DiffCopy", "" },
    }), {
      shared_key = "k3y",
      credentials =
        { ["mine.example:5000"] = { username = "u", password = secret.new("pw", "P") } },
      secrets = { tok = secret.new("s3cret", "T") },
      ssh = { default = "/none" },
    }))
    assert.matches("^%x+$", s:id())
    local said_all = said()
    assert.same({ { "0", "\8\1" }, { "0", "\10\1u\18\2pw" }, { "0", "" }, { "0", "\10\6s3cret" },
      { "5", json.null },
      { "0", "" }, { "5", json.null }, { "12", json.null }, { "3", json.null } }, said_all.answers)
    assert.matches("POST /v1.41/session HTTP/1.1\r\n", said_all.head, 1, true)
    assert.matches("Session%-Uuid: " .. s:id(), said_all.head)
    assert.matches("Sharedkey: k3y\r\n", said_all.head, 1, true)
    local stats, err = s:wait()
    assert.is_nil(stats)
    assert.equal("net", err.kind)
    assert.same({ 9, 1, 1 }, { s:stats().calls, s:stats().secrets, s:stats().logins })
  end)

  it("ends when asked, with what it did", function()
    local s <close> = assert(open(start("idle")))
    local stats = assert(s:close())
    assert.equal(0, stats.files)
    assert.is_nil(s:failure())
    assert.equal(0, assert(s:close()).calls)
  end)

  it("sends a tree in fsutil's order with root as its owner", function()
    write("a/b/c", "deep")
    write("a.txt", "beside")
    write("a-", "x")
    write("big", ("0123456789abcdef"):rep(10000))
    assert(fs.make_dir(context .. "/empty"))
    assert(fs.symlink("a/b", context .. "/link"))
    assert(proc.run { argv = { "sh", "-c", "ln a.txt z-hard; mkfifo f; chmod 4755 a-" },
      cwd = context })
    local answer, stats = files {}
    assert.equal("a a/b a/b/c a- a.txt big empty f link z-hard", paths(answer))
    assert.same({ ["a/b/c"] = "deep", ["a.txt"] = "beside", big = 160000 }, answer.content)
    local by_path = {}
    for _, stat in ipairs(answer.stats) do
      by_path[stat.path] = stat
      assert.equal(0, stat.uid)
    end
    assert.equal("a.txt", by_path["z-hard"].link)
    assert.equal("a/b", by_path.link.link)
    assert.equal(1 << 31 | tonumber("755", 8), by_path.a.mode)
    assert.equal(1 << 27 | tonumber("777", 8), by_path.link.mode)
    assert.equal(1 << 23 | tonumber("755", 8), by_path["a-"].mode)
    assert.equal(1 << 25, by_path.f.mode & 1 << 25)
    assert.equal(3, answer.fin)
    assert.equal("0", answer.status)
    assert.is_nil(stats) -- the scene hangs up
  end)

  it("sends extended attributes, as fsutil does", function()
    write("d/program", "x")
    assert(fs.symlink("d/program", context .. "/link"))
    local set = assert(proc.run { cwd = context, argv = { "/usr/bin/python3", "-c", [[
import os
cap = bytes.fromhex("0100000200200000000000000000000000000000")
os.setxattr("d/program", "security.capability", cap)
try: os.setxattr("d", "user.k", b"")
except OSError: os.setxattr("d", "trusted.k", b"")]] } })
    if set.code ~= 0 then return pending "skipped where nobody may set a capability" end
    local of = {}
    for _,
      stat in ipairs(files({}).stats) do of[stat.path] = stat.attributes:gsub("%x%x", function(byte)
      return string.char(tonumber(byte, 16))
    end) end
    assert.equal("\10\19security.capability\18\20\1\0\0\2\0\32" .. ("\0"):rep(14), of["d/program"])
    assert.is_true(of.d == "\10\6user.k" or of.d == "\10\9trusted.k", of.d)
    assert.equal("", of.link)
  end)

  it("sends nothing but entries when nothing is asked for", function()
    write("one", "1")
    local s <close> =
      assert(open(start("files", { meta = { { "dir-name", "context" } }, want = json.array {} }),
      { dirs = { context = context } }))
    assert.same({}, said().content)
    s:wait()
    assert.same({ 1, 0, 0 }, { s:stats().entries, s:stats().files, s:stats().bytes })
  end)

  it("leaves out what the patterns exclude", function()
    for _,
      name in ipairs { "keep", "drop.log", "d/drop.log", "d/keep.log", "vendor/x/y", "only/z" } do
      write(name, name)
    end
    local answer = files { meta = { { "dir-name", "context" }, { "exclude-patterns", "**/*.log" },
      { "exclude-patterns", "!d/keep.log" }, { "exclude-patterns", "vendor" },
      { "exclude-patterns", "#not a comment" },
      { "exclude-patterns", "only" } } }
    assert.equal("d d/keep.log keep", paths(answer))
    stop()
    answer =
      files { meta = { { "dir-name", "context" }, { "include-patterns", "vendor/x" },
      { "include-patterns", "k*" } } }
    assert.equal("keep vendor vendor/x vendor/x/y", paths(answer))
  end)

  it("takes patterns as they come, not as lines of a file", function()
    for _, name in ipairs { "#c", "slash", "xx/a", "d/a", "d/b" } do write(name, name) end
    local answer = files { meta = { { "dir-name", "context" }, { "exclude-patterns", "#c" },
      { "exclude-patterns", "/slash" }, { "exclude-patterns", "xx" }, { "exclude-patterns", "d" },
      { "exclude-patterns", "!x{2}/*" }, { "exclude-patterns", "!d/b" } } }
    assert.equal("d d/b slash", paths(answer)) -- fsutil looks for a directory "x{2}"
    stop()
    answer =
      files { meta = { { "dir-name", "context" }, { "include-patterns", "d" },
      { "include-patterns", "." },
      { "followpaths", "d/a" } } }
    assert.equal("#c d d/a d/b slash xx xx/a", paths(answer))
  end)

  it("follows links of the paths that a daemon names", function()
    write("docker/real", "FROM scratch\n")
    write("other", "x")
    assert(fs.symlink("docker/real", context .. "/Dockerfile"))
    assert(fs.symlink("../../../../../etc", context .. "/out"))
    local answer = files { meta = { { "dir-name", "context" }, { "followpaths", "Dockerfile" },
      { "followpaths", "Dockerfile.dockerignore" }, { "followpaths", "out/passwd" } } }
    assert.equal("Dockerfile docker docker/real out", paths(answer))
  end)

  it("goes where a link leads the first time that it comes to it, as fsutil does", function()
    for _, name in ipairs { "d/k", "d/other", "e/k", "w/x" } do write(name, name) end
    assert(fs.symlink("d", context .. "/link"))
    for i, name in ipairs { "e", "w" } do
      assert(fs.symlink("../" .. name, context .. "/d/l" .. i))
    end
    local function follow(...)
      local meta = { { "dir-name", "context" } }
      for _, path in ipairs { ... } do meta[#meta + 1] = { "followpaths", path } end
      local found = paths(files { meta = meta })
      stop()
      return found
    end
    assert.equal("d d/k link", follow("link/k", "link"))
    assert.equal("d d/k d/l1 d/l2 d/other link", follow("link", "link/k"))
    assert.equal("d d/l1 d/l2 e e/k", follow("d/l*/k"))
  end)

  it("sends nothing for a path that climbs out, as fsutil does", function()
    write("a", "x")
    for _, path in ipairs { "..", "../*", "a/../../*", "/../a" } do
      local answer = files { meta = { { "dir-name", "context" }, { "followpaths", path } } }
      assert.equal("", paths(answer), path)
      stop()
    end
  end)

  it("takes patterns in Go's query escapes", function()
    write("ü b", "x")
    write("c", "x")
    local answer = files { meta = { { "dir-name", "context" }, { "exclude-patterns-encoded", "1" },
      { "exclude-patterns", "%C3%BC+b" } } }
    assert.equal("c", paths(answer))
  end)

  it("serves a text as the Dockerfile", function()
    local answer =
      files({ meta = { { "dir-name", "dockerfile" }, { "followpaths", "Dockerfile" } } },
      { dockerfile_text = "FROM x\n" })
    assert.same({ Dockerfile = "FROM x\n" }, answer.content)
  end)

  it("refuses a directory that is not given", function()
    local _ <close> =
      assert(open(start("ask", { { "/moby.filesync.v1.FileSync/DiffCopy", "" } }),
      { dirs = { x = dir } }))
    assert.same({ { "5", json.null } }, said().answers)
  end)

  it("tells the daemon and the caller of a pattern that is none", function()
    local answer, _, err =
      files { meta = { { "dir-name", "context" }, { "exclude-patterns", "[a" } } }
    assert.matches("pattern", answer.error)
    assert.equal("usage", err.kind)
  end)

  it("tells of a file that cannot be read", function()
    write("gone", "x")
    assert(proc.run { argv = { "sh", "-c",
      "rm gone && mkdir deep && cd deep && for i in $(seq 1100); do mkdir d && cd d; done" },
      cwd = context })
    local answer, _, err = files {}
    assert.matches("deeper than 1000", answer.error)
    assert.equal("limit", err.kind)
    assert(proc.run { argv = { "rm", "-rf", context .. "/deep" } })
  end)

  it("forwards an ssh agent", function()
    local echo = assert(proc.start { grace = 0.1, argv = { "/usr/bin/python3", "-c", [[
import socket, sys
l = socket.socket(socket.AF_UNIX); l.bind(sys.argv[1]); l.listen(); print("up", flush=True)
s = l.accept()[0]
while True:
    d = s.recv(1000)
    if not d: break
    s.sendall(d)
]], dir .. "/agent" } })
    assert.matches("up", echo:read())
    local s <close> =
      assert(open(start("ssh", { bytes = 100000 }), { ssh = { default = dir .. "/agent" } }))
    assert.same({ bytes = 100000, status = "0" }, said())
    assert.equal(1, s:stats().agents)
    echo:wait()
  end)

  it("writes what is exported, whole or not at all", function()
    local s <close> =
      assert(open(start("output", { pieces = { "abc", ("x"):rep(100000), "" } }),
      { output = dir .. "/out" }))
    assert.same({ status = "0" }, said())
    s:wait()
    assert.equal(100003, s:stats().output)
    assert.equal("abc" .. ("x"):rep(100000), fs.read(dir .. "/out"))
    stop()
    local cut <close> =
      assert(open(start("output", { pieces = { "abc" }, cut = true }), { output = dir .. "/cut" }))
    task.sleep(0.05)
    cut:close()
    local left = fs.list(dir)
    table.sort(left)
    assert.same({ "context", "out", "socket" }, left)
  end)

  describe("with a hostile daemon", function()
    it("ends at bytes that are no HTTP/2", function()
      local err = spoilt("bytes", ("47"):rep(100))
      assert.equal("remote", err.kind)
      assert.matches("does not keep to HTTP/2", err.message)
    end)

    it("ends at a frame that is too large", function()
      assert.equal("remote", spoilt("frames", { { 0, 0, 1, ("00"):rep(20000), 1 } }).kind)
    end)

    it("ends at data of no stream, at pings of a wrong size, at a table bomb", function()
      for _,
        frame in ipairs { { 0, 0, 0, "00", 1 }, { 6, 0, 0, "0011", 1 },
        { 1, 5, 1, "ffffffffffffff7f", 1 },
        { 8, 0, 0, "00000000", 1 }, { 9, 4, 1, "00", 1 } } do
        local err = spoilt("frames", { frame })
        assert.equal("remote", err.kind, err.message)
        stop()
      end
    end)

    it("ends at a flood of pings", function()
      local err = spoilt("frames", { { 6, 0, 0, "0011223344556677", 200000 } })
      assert.is_truthy(({ remote = true, net = true })[err.kind], err.message)
    end)

    it("ends at endless metadata", function()
      local err = spoilt("metadata")
      assert.equal("limit", err.kind)
      assert.matches("endless metadata", err.message)
    end)

    it("ends at a message that is too long", function()
      for _, path in ipairs { SECRET, "/moby.filesync.v1.FileSync/DiffCopy" } do
        local err = spoilt("long", path, { dirs = { context = context } })
        assert.equal("limit", err.kind)
        assert.matches("a message of 2147483647 bytes", err.message)
        stop()
      end
    end)

    it("ends at a question that is no protobuf", function()
      local err = spoilt("bad", { CREDENTIALS, "0affff" })
      assert.equal("remote", err.kind)
      assert.matches("no protobuf", err.message)
    end)

    it("ends when files are asked for that it never told of, or twice", function()
      write("f", "x")
      for _,
        packets in ipairs { { "08011807" }, { "0801", "0801" }, { "0802" }, { "08" },
        { "080118ffffffffffff01" } } do
        local err = spoilt("packets", packets, { dirs = { context = context } })
        assert.equal("remote", err.kind, err.message)
        stop()
      end
    end)

    it("tells that a daemon refuses, and why", function()
      for status,
        kind in pairs { ["404 Not Found"] = "missing", ["400 Bad Request"] = "usage",
        ["500 No"] = "remote" } do
        local s, err = open(start("refuse", status))
        assert.is_nil(s)
        assert.equal(kind, err.kind)
        assert.matches("no", err.message)
        stop()
      end
    end)

    it("tells that it hung up", function()
      local err = spoilt("close")
      assert.equal("net", err.kind)
      assert.matches("closed the build session", err.message)
    end)
  end)

  it("gives up on a daemon that does not answer", function()
    local s, err = open(start("silent"), { timeout = 0.05 })
    assert.is_nil(s)
    assert.equal("timeout", err.kind)
    stop()
  end)

  it("gives up on a daemon that stands and is silent", function()
    local s = assert(open(start("idle"), { silence = 0.06 }))
    local stats, err = s:wait()
    assert.is_nil(stats)
    assert.equal("timeout", err.kind)
    assert.matches("no sign of life for 0.06 s", err.message, 1, true)
    stop()
  end)

  it("is cancelled while it opens, stands, and sends", function()
    for i = 1, 60 do write("f" .. i, ("x"):rep(100000)) end
    local scenes = { { "silent" }, { "idle" }, { "busy", 60 } }
    for i, scene in ipairs(scenes) do
      local socket = start(scene[1], scene[2])
      local running = task.spawn(function()
        local s = assert(open(socket, { dirs = { context = context } }))
        s:wait()
      end)
      if i > 1 then line() else task.sleep(0.02) end
      running:cancel(error_value.new { kind = "cancelled", message = "stop" })
      local good, err = running:join()
      assert.is_false(good)
      assert.equal("cancelled", err.kind, err.message)
      if scene[1] == "idle" then assert.equal('"closed"', line()) end
      stop()
    end
  end)

  it("ends with the task that opened it", function()
    local socket = start("idle")
    assert(task.spawn(function() assert(open(socket)) end):join())
    daemon:wait()
  end)

  it("fails for a directory and a socket that are not there", function()
    local s, err = session.open { unix = dir .. "/none", api = "1.41",
      dirs = { context = dir .. "/missing" } }
    assert.is_nil(s)
    assert.equal("missing", err.kind)
    s, err = session.open { unix = dir .. "/none", api = "1.41" }
    assert.is_nil(s)
    assert.equal("missing", err.kind)
  end)

  it("refuses what it does not know", function()
    assert.error_matches(function() session.open { unix = "/x", api = "1.41", secret = {} } end,
      "unknown option 'secret'")
    assert.error_matches(function() session.open { unix = "/x", api = "1/../x" } end,
      "'api' must be a version")
    assert.error_matches(function() session.open { unix = "/x", api = "1.41",
      dirs = { a = 1 } } end, "'a' must be a string")
    assert.error_matches(function()
      session.open { unix = "/x", api = "1.41", credentials = { h = { username = "u" } } }
    end,
      "'h' has no password")
    assert.error_matches(function()
      session.open { unix = "/x", api = "1.41", secrets = { s = ("x"):rep(500 * 1024 + 1) } }
    end, "more than 512000 bytes")
  end)
end)
