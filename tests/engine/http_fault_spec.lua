local fs = require "orch.fs"
local http = require "orch.http"
local proc = require "orch.proc"
local servers = require "engine.servers.servers"
local task = require "orch.task"

-- Answers once, and is gone when it is asked again, which it resets.
local VANISHING <const> = [[
import socket, struct
listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen(5)
print(listener.getsockname()[1], flush=True)
kept, _ = listener.accept(); kept.recv(9999)
kept.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
kept.recv(1, socket.MSG_PEEK); listener.close()
kept.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); kept.close()
]]

describe("http.request that fails", function()
  local server, socket

  local function get(path, options)
    options = options or {}
    options.url = server.url .. path
    return http.request(options)
  end

  local function fails(kind, path, options)
    local reply, err = get(path, options)
    assert.is_nil(reply)
    assert.equal(kind, err.kind, path .. ": " .. err.message)
    assert.equal("http", err.op)
    return err
  end

  setup(function()
    server, socket = servers.http(), servers.http { unix = true }
  end)

  teardown(function()
    server:stop()
    socket:stop()
  end)

  it("names the place and what to do", function()
    local _, err = http.request { url = "http://127.0.0.1:1/x" }
    assert.equal("net", err.kind)
    assert.equal(7, err.code)
    assert.matches("127.0.0.1:1: Connection refused; is a server running there", err.message, 1,
      true)
    _, err = http.request { url = "http://no-such-host.invalid/", timeout = 3 }
    if err.kind ~= "timeout" then
      assert.equal("net", err.kind)
      assert.matches("no%-such%-host.invalid", err.message)
    end
    _, err = http.request { url = "http://d/", unix = "/no/such.sock" }
    assert.equal("missing", err.kind)
    assert.matches("/no/such.sock", err.message, 1, true)
    local path = os.tmpname() -- there, but no socket
    _, err = http.request { url = "http://d/", unix = path }
    assert.equal("net", err.kind)
    assert.matches(path, err.message, 1, true)
    os.remove(path)
  end)

  it("blames no proxy for a server that is gone together with a kept connection", function()
    local child = assert(proc.start { argv = { "/usr/bin/python3", "-c", VANISHING } })
    local url = "http://127.0.0.1:" .. child:read():match("%d+")
    assert(http.request { url = url })
    local _, err = http.request { url = url }
    assert(child:wait())
    assert.equal("net", err.kind)
    assert.matches("cannot connect to 127.0.0.1:", err.message, 1, true)
    assert.is_nil(err.message:find("proxy", 1, true), err.message)
  end)

  it("says that a line is too long where memory is not short", function()
    assert.matches("line of its head is too long", fails("remote", "/longline").message, 1, true)
  end)

  it("tells broken answers from broken connections", function()
    for _,
      path in ipairs { "/truncated", "/badchunk", "/cutchunk", "/garbled", "/badstatus",
      "/longline", "/badcoding" } do
      fails("remote", path)
    end
    for _, path in ipairs { "/empty", "/reset" } do fails("net", path) end
  end)

  it("takes no body for whole whose length nobody can know", function()
    for _, lengths in ipairs { "5,7", "99999999999999999999999", "5x" } do
      assert.matches("Content%-Length", fails("remote", "/length?n=" .. lengths).message)
    end
    assert.equal("hello", assert(get("/length?n=5,5")).body)
  end)

  it("has ceilings", function()
    fails("limit", "/endless")
    for _, path in ipairs { "/flood?s=100", "/flood?s=103", "/trailers" } do
      fails("limit", path, { timeout = 20 })
    end
    fails("limit", "/lines")
    fails("limit", "/bytes?n=17000000")
    assert.matches("100 bytes", fails("limit", "/bytes?n=101", { body_max = 100 }).message)
    assert.equal(100, #assert(get("/bytes?n=100", { body_max = 100 })).body)
    fails("limit", "/eof", { body_max = 4 })
  end)

  it("tells a stream's reader what was there and then why it broke", function()
    local reply <close> = assert(get("/truncated", { stream = true }))
    assert.equal("half", reply:read())
    local piece, err = reply:read()
    assert.is_nil(piece)
    assert.equal("remote", err.kind)
    err = select(2, reply:read())
    assert.equal("remote", err.kind)
  end)

  it("times out", function()
    fails("timeout", "/silent", { timeout = 0.03 })
    fails("timeout", "/drip?pause=0.01", { timeout = 0.03 })
    fails("timeout", "/silent", { idle_timeout = 0.03 })
    fails("timeout", "/half", { idle_timeout = 0.03 })
    assert.equal("..........", assert(get("/drip?pause=0.01", { idle_timeout = 0.5 })).body)
    local _, err = http.request { url = "http://192.0.2.1/", connect_timeout = 0.05 }
    -- net where no route leads there
    assert.is_true(err.kind == "timeout" or err.kind == "net", err.message)
  end)

  it("takes no reader's pause for a server's silence", function()
    local reply <close> = assert(get("/bytes?n=3000000", { stream = true, idle_timeout = 0.3 }))
    task.sleep(0.4)
    local size = 0
    for piece in function() return reply:read() end do size = size + #piece end
    assert.equal(3000000, size)
  end)

  it("has the answer of a server that rejects before the body is sent", function()
    for _, place in ipairs { { server.url }, { "http://d", socket.path } } do
      for i = 1, 10 do
        local reply = assert(http.request {
          url = place[1] .. "/reject" .. (i % 2 == 0 and "?rude" or ""), unix = place[2],
          body = ("x"):rep(5000000),
        })
        assert.equal(400, reply.status)
        assert.equal("no", reply.body)
      end
    end
  end)

  it("is usage when the URL is none", function()
    for _, url in ipairs {
      "nonsense", "http://", "ht!tp://x/", "file:///etc/passwd", "gopher://x/", "http://u:p@x/",
      "http://x:99999/",
      "http://a b/",
    } do
      local reply, err = http.request { url = url, timeout = 1 }
      assert.is_nil(reply)
      assert.equal("usage", err.kind, url)
    end
    local _, err = http.request { url = "http://d/", unix = ("x"):rep(200) }
    assert.equal("usage", err.kind)
    _, err = http.request { url = "http://d/", ca_file = "/no/such/file" }
    assert.equal("missing", err.kind)
    _, err = http.request { url = "http://d/", body_fd = 999 }
    assert.equal("io", err.kind)
  end)

  it("raises what the caller got wrong", function()
    local function raises(pattern, options)
      options.url = options.url or "http://127.0.0.1:1/"
      assert.error_matches(function() http.request(options) end, pattern)
    end
    raises("unknown option 'uri' %(known: ", { uri = "x" })
    assert.error_matches(function() http.request {} end, "option 'url' is missing")
    raises("line break", { headers = { A = "x\r\nB: y" } })
    raises("line break or a zero byte", { headers = { A = "x\0y" } })
    raises("no header name", { headers = { ["A: b"] = "x" } })
    raises("set by the engine", { headers = { ["content-length"] = "5" } })
    raises("must be a string, a secret", { headers = { A = {}, B = true } })
    raises("must map names", { headers = { "x" } })
    raises("no method", { method = "GET /x" })
    raises("exclude", { body = "x", body_fd = 0 })
    raises("exclude", { body_fd = 0, body_file = "x" })
    raises("exclude", { body = "x", body_file = "x" })
    raises("has no body", { method = "HEAD", body_file = "x" })
    raises("exclude", { stream = true, file = "x" })
    raises("belongs to", { body_length = 5 })
    raises("basic: option 'password' is missing", { basic = { user = "x" } })
    raises("colon", { basic = { user = "a:b", password = "" } })
    raises("zero byte", { url = "http://x/\0" })
    raises("at most 50", { redirects = 51 })
  end)
end)

describe("http.request with body_fd", function()
  local server, socket

  local function send(producer, path, ...)
    local out = servers.sh(producer, socket and { "http://d" .. path, socket.path, ... })
    local first, rest, memory, seconds = out:match("^(%S+)\t(.-)\n(%d+) (%S+)\n$")
    return first, rest, math.tointeger(memory), tonumber(seconds)
  end

  setup(function()
    server, socket = servers.http(), servers.http { unix = true }
  end)

  teardown(function()
    server:stop()
    socket:stop()
  end)

  it("sends a pipe to its end, in chunks", function()
    local status, body = send("printf abc; sleep 0.05; printf def", "/echo")
    assert.equal("200", status)
    assert.matches("Transfer%-Encoding: chunked", body)
    assert.not_matches("Content%-Type", body)
    assert.matches("\n\nabcdef$", body)
  end)

  it("sends 64 MiB in the memory of one", function()
    local _, _, little = send("head -c 1048576 /dev/zero", "/count")
    local status, body, much = send("head -c 67108864 /dev/zero", "/count")
    assert.equal("200", status)
    assert.equal("67108864 chunked", body)
    assert.is_true(much - little < 16384, ("%d KiB more"):format(much - little))
  end)

  it("sends a length that is known as one", function()
    local status, body = send("printf abcdefgh", "/echo", "6")
    assert.equal("200", status)
    assert.matches("Content%-Length: 6\n", body)
    assert.matches("\n\nabcdef$", body)
  end)

  it("is io when the pipe ends too early", function()
    local kind, message = send("printf abc", "/echo", "6")
    assert.equal("io", kind)
    assert.matches("after 3 of 6 bytes", message)
  end)

  it("sends a file", function()
    assert.equal("200", (send("exec <" .. servers.dir .. "/http.py; orch", "/count")))
  end)

  it("sends a file by its name, with its length", function()
    local path = servers.dir .. "/http.py"
    local stat = assert(fs.stat(path))
    local reply =
      assert(http.request { url = "http://d/count", unix = socket.path, body_file = path })
    assert.equal(tostring(stat.size), reply.body:match("^%d+"))
    local none, err = http.request { url = "http://d/count", unix = socket.path,
      body_file = "/no/such" }
    assert.is_nil(none)
    assert.equal("missing", err.kind)
    assert.matches("/no/such", err.message)
    none, err = http.request { url = "http://d/count", unix = socket.path, body_file = "/dev/null" }
    assert.is_nil(none)
    assert.equal("usage", err.kind)
  end)

  it("has the answer of a server that rejects while the pipe is silent", function()
    for _, length in ipairs { "-", "6" } do
      local status, body, _, seconds = send("printf abc; sleep 1.5", "/reject", length)
      assert.equal("400", status)
      assert.equal("no", body)
      assert.is_true(seconds < 1)
    end
  end)

  it("is cancelled while the pipe is silent", function()
    local kind, why, _, seconds = send("printf abc; sleep 1.5", "/echo", "-", "cancel")
    assert.equal("raised", kind)
    assert.equal("enough", why)
    assert.is_true(seconds < 1)
  end)
end)
