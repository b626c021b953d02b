local error_value = require "orch.error"
local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local secret = require "orch.secret"
local daemons = require "engine.servers.daemons"
local session = require "orch.session"
local task = require "orch.task"

local HEALTH <const> = "/grpc.health.v1.Health/Check"
local CREDENTIALS <const> = "/moby.filesync.v1.Auth/Credentials"
local SECRET <const> = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
local CHECK <const> = "/moby.sshforward.v1.SSH/CheckAgent"

describe("session", function()
  local box
  before_each(function() box = daemons.box() end)
  after_each(function() box:remove() end)

  it("answers what a daemon asks, and nothing to strangers", function()
    local s <close> = assert(box:open(box:start("ask", {
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
    local said_all = box:said()
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
    local s <close> = assert(box:open(box:start("idle")))
    local stats = assert(s:close())
    assert.equal(0, stats.files)
    assert.is_nil(s:failure())
    assert.equal(0, assert(s:close()).calls)
  end)

  it("comes with <close>, and harms nobody who still waits", function()
    local waiter, kept
    do
      local s <close> = assert(box:open(box:start("idle")))
      kept = s
      waiter = task.spawn(function() return s:wait() end)
      task.sleep(0)
    end
    assert.equal(0, select(2, waiter:join(2)).files)
    assert.equal(0, assert(kept:wait()).calls)
    assert.is_nil(kept:failure())
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
]], box.dir .. "/agent" } })
    assert.matches("up", echo:read())
    local s <close> =
      assert(box:open(box:start("ssh", { bytes = 100000 }), { ssh = { default = box.dir .. "/agent" } }))
    assert.same({ bytes = 100000, status = "0" }, box:said())
    assert.equal(1, s:stats().agents)
    echo:wait()
  end)

  it("writes what is exported, whole or not at all", function()
    local s <close> =
      assert(box:open(box:start("output", { pieces = { "abc", ("x"):rep(100000), "" } }),
      { output = box.dir .. "/out" }))
    assert.same({ status = "0" }, box:said())
    s:wait()
    assert.equal(100003, s:stats().output)
    assert.equal("abc" .. ("x"):rep(100000), fs.read(box.dir .. "/out"))
    box:stop()
    local cut <close> =
      assert(box:open(box:start("output", { pieces = { "abc" }, cut = true }), { output = box.dir .. "/cut" }))
    task.sleep(0.05)
    cut:close()
    local left = fs.list(box.dir)
    table.sort(left)
    assert.same({ "context", "out", "socket" }, left)
  end)

  describe("with a hostile daemon", function()
    it("ends at bytes that are no HTTP/2", function()
      local err = box:spoilt("bytes", ("47"):rep(100))
      assert.equal("remote", err.kind)
      assert.matches("does not keep to HTTP/2", err.message)
    end)

    it("ends at a frame that is too large", function()
      assert.equal("remote", box:spoilt("frames", { { 0, 0, 1, ("00"):rep(20000), 1 } }).kind)
    end)

    it("ends at data of no stream, at pings of a wrong size, at a table bomb", function()
      for _,
        frame in ipairs { { 0, 0, 0, "00", 1 }, { 6, 0, 0, "0011", 1 },
        { 1, 5, 1, "ffffffffffffff7f", 1 },
        { 8, 0, 0, "00000000", 1 }, { 9, 4, 1, "00", 1 } } do
        local err = box:spoilt("frames", { frame })
        assert.equal("remote", err.kind, err.message)
        box:stop()
      end
    end)

    it("ends at a flood of pings", function()
      local err = box:spoilt("frames", { { 6, 0, 0, "0011223344556677", 200000 } })
      assert.is_truthy(({ remote = true, net = true })[err.kind], err.message)
    end)

    it("ends at endless metadata", function()
      local err = box:spoilt("metadata")
      assert.equal("limit", err.kind)
      assert.matches("endless metadata", err.message)
    end)

    it("ends at a message that is too long", function()
      for _, path in ipairs { SECRET, "/moby.filesync.v1.FileSync/DiffCopy" } do
        local err = box:spoilt("long", path, { dirs = { context = box.context } })
        assert.equal("limit", err.kind)
        assert.matches("a message of 2147483647 bytes", err.message)
        box:stop()
      end
    end)

    it("ends at a question that is no protobuf", function()
      local err = box:spoilt("bad", { CREDENTIALS, "0affff" })
      assert.equal("remote", err.kind)
      assert.matches("no protobuf", err.message)
    end)

    it("ends when files are asked for that it never told of, or twice", function()
      box:write("f", "x")
      for _,
        packets in ipairs { { "08011807" }, { "0801", "0801" }, { "0802" }, { "08" },
        { "080118ffffffffffff01" } } do
        local err = box:spoilt("packets", packets, { dirs = { context = box.context } })
        assert.equal("remote", err.kind, err.message)
        box:stop()
      end
    end)

    it("tells that a daemon refuses, and why", function()
      for status,
        kind in pairs { ["404 Not Found"] = "missing", ["400 Bad Request"] = "usage",
        ["500 No"] = "remote" } do
        local s, err = box:open(box:start("refuse", status))
        assert.is_nil(s)
        assert.equal(kind, err.kind)
        assert.matches("no", err.message)
        box:stop()
      end
    end)

    it("tells that it hung up", function()
      local err = box:spoilt("close")
      assert.equal("net", err.kind)
      assert.matches("closed the build session", err.message)
    end)
  end)

  it("gives up on a daemon that does not answer", function()
    local s, err = box:open(box:start("silent"), { timeout = 0.05 })
    assert.is_nil(s)
    assert.equal("timeout", err.kind)
    box:stop()
  end)

  it("gives up on a daemon that stands and is silent", function()
    local s = assert(box:open(box:start("idle"), { silence = 0.06 }))
    local stats, err = s:wait()
    assert.is_nil(stats)
    assert.equal("timeout", err.kind)
    assert.matches("no sign of life for 0.06 s", err.message, 1, true)
    box:stop()
  end)

  it("is cancelled while it opens, stands, and sends", function()
    for i = 1, 60 do box:write("f" .. i, ("x"):rep(100000)) end
    local scenes = { { "silent" }, { "idle" }, { "busy", 60 } }
    for i, scene in ipairs(scenes) do
      local socket = box:start(scene[1], scene[2])
      local running = task.spawn(function()
        local s = assert(box:open(socket, { dirs = { context = box.context } }))
        s:wait()
      end)
      if i > 1 then box:line() else task.sleep(0.02) end
      running:cancel(error_value.new { kind = "cancelled", message = "stop" })
      local good, err = running:join()
      assert.is_false(good)
      assert.equal("cancelled", err.kind, err.message)
      if scene[1] == "idle" then assert.equal('"closed"', box:line()) end
      box:stop()
    end
  end)

  it("ends with the task that opened it", function()
    local socket = box:start("idle")
    assert(task.spawn(function() assert(box:open(socket)) end):join())
    box:ended()
  end)

  it("fails for a directory and a socket that are not there", function()
    local s, err = session.open { unix = box.dir .. "/none", api = "1.41",
      dirs = { context = box.dir .. "/missing" } }
    assert.is_nil(s)
    assert.equal("missing", err.kind)
    s, err = session.open { unix = box.dir .. "/none", api = "1.41" }
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
