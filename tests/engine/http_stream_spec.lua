local http = require "orch.http"
local secret = require "orch.secret"
local servers = require "engine.servers.servers"
local task = require "orch.task"

local function read_all(stream)
  local pieces = {}
  for piece in function() return stream:read() end do pieces[#pieces + 1] = piece end
  return table.concat(pieces)
end

describe("http.stream", function()
  local server, socket

  setup(function()
    server = servers.http()
    socket = servers.http { unix = true }
  end)

  teardown(function()
    server:stop()
    socket:stop()
  end)

  it("carries bytes both ways over TCP", function()
    local stream <close> = assert(http.stream { host = "127.0.0.1", port = tonumber(server.port) })
    assert.is_true(stream:write("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert.equal("HTTP/1.1 200", assert(stream:read(12)))
  end)

  it("half-closes, and reads on to the end", function()
    local stream <close> = assert(http.stream { unix = socket.path })
    assert(stream:write("POST /upgrade HTTP/1.1\r\n\r\nabc"))
    assert(stream:shutdown())
    assert.matches("\r\n\r\nahead:abcbye$", read_all(stream))
    assert.is_nil(stream:read())
  end)

  it("writes more than the socket holds while another task reads", function()
    local stream <close> = assert(http.stream { unix = socket.path })
    local size = 20000000
    local writer = task.spawn(function()
      assert(stream:write("POST /upgrade HTTP/1.1\r\n\r\n"))
      assert(stream:write(("z"):rep(size)))
      assert(stream:shutdown())
    end)
    local _, got = read_all(stream):gsub("[zZ]", "")
    assert.is_true(writer:join())
    assert.equal(size, got)
  end)

  it("opens a secret only on the wire", function()
    local stream <close> = assert(http.stream { unix = socket.path })
    assert(stream:write("POST /upgrade HTTP/1.1\r\n\r\n"))
    assert(stream:write(secret.new("hidden", "S")))
    assert(stream:shutdown())
    assert.matches("hidden", (read_all(stream):lower()))
  end)

  it("survives other requests with unread bytes in it", function()
    local stream <close> = assert(http.stream { host = "127.0.0.1", port = tonumber(server.port) })
    assert(stream:write("GET /hello HTTP/1.1\r\n\r\n"))
    task.sleep(0.05)
    for _ = 1, 3 do
      assert(http.request { url = server.url .. "/hello" })
      task.sleep(0.4)
    end
    assert.equal("HTTP/1.1 200", assert(stream:read(12)))
  end)

  it("comes with <close>, and harms nobody who still reads", function()
    local reader, kept
    do
      local stream <close> = assert(http.stream { unix = socket.path })
      kept = stream
      reader = task.spawn(function() return stream:read() end)
      task.sleep(0)
    end
    local good, failure = reader:join(2)
    assert.is_false(good)
    assert.matches("closed", tostring(failure), 1, true)
    assert.error_matches(function() kept:write("x") end, "closed")
    kept:close()
  end)

  it("tells a refused connection, a missing socket and a bad option", function()
    local _, err = http.stream { host = "127.0.0.1", port = 1 }
    assert.equal("net", err.kind)
    assert.matches("127.0.0.1:1", err.message, 1, true)
    _, err = http.stream { unix = "/no/such.sock" }
    assert.equal("missing", err.kind)
    assert.equal("http", err.op)
    assert.error_matches(function() http.stream { port = 1 } end, "either 'unix' or 'host'")
    assert.error_matches(function() http.stream { host = "a/b", port = 1 } end, "no host's name")
    assert.error_matches(function() http.stream { unix = "x", bogus = 1 } end,
      "unknown option 'bogus'")
  end)

  it("raises when used after close", function()
    local stream = assert(http.stream { unix = socket.path })
    stream:close()
    stream:close()
    assert.error_matches(function() stream:read() end, "closed")
    assert.error_matches(function() stream:write("x") end, "closed")
  end)

  it("ends with the task that made it", function()
    local child = task.spawn(function() return assert(http.stream { unix = socket.path }) end)
    local ok, stream = child:join()
    assert.is_true(ok)
    assert.error_matches(function() stream:read() end, "closed")
  end)

  it("is left at once by a cancelled reader", function()
    local child = task.spawn(function()
      local stream <close> = assert(http.stream { unix = socket.path })
      return stream:read()
    end)
    task.sleep(0.02)
    child:cancel("enough")
    local ok, why = child:join(1)
    assert.is_false(ok)
    assert.matches("enough", tostring(why))
  end)
end)

describe("http.upgrade", function()
  local server, socket

  setup(function()
    server = servers.http()
    socket = servers.http { unix = true }
  end)

  teardown(function()
    server:stop()
    socket:stop()
  end)

  it("gives a stream that begins right behind the head", function()
    for _, status in ipairs { 101, 200 } do
      local stream, head = http.upgrade {
        unix = socket.path, path = "/upgrade?s=" .. status, body = "{}",
        headers = { ["X-Token"] = secret.new("t", "T") },
      }
      assert(stream, head)
      assert.equal(status, head.status)
      assert.equal("2", head.headers["x-body"])
      assert(stream:write("shout"))
      assert(stream:shutdown())
      assert.equal("ahead:SHOUTbye", read_all(stream))
      stream:close()
    end
  end)

  it("sends what makes it an upgrade, over TCP too", function()
    local _, err = http.upgrade { host = "127.0.0.1", port = tonumber(server.port), path = "/echo",
      method = "GET",
      headers = { Upgrade = "h2c" } }
    assert.is_nil(err and err.kind)
    local log = assert(http.request { url = server.url .. "/log" }).body
    assert.matches("GET /echo HTTP/1.1\nHost: 127.0.0.1:%d+\n", log)
    assert.matches("\nConnection: Upgrade\n", log)
    assert.matches("\nUpgrade: h2c", log)
    assert.not_matches("Upgrade: tcp", log)
  end)

  it("makes any other status an error with the server's words", function()
    for status,
      kind in pairs { [404] = "missing", [403] = "auth", [409] = "conflict", [500] = "remote" } do
      local _, err = http.upgrade { unix = socket.path, path = "/status?s=" .. status }
      assert.equal(kind, err.kind)
      assert.equal(status, err.code)
      assert.matches("body of " .. status, err.message)
    end
  end)

  it("does not trust the answer", function()
    for path, kind in pairs {
      ["/garbled"] = "remote", ["/badstatus"] = "remote", ["/endless"] = "limit",
      ["/longline"] = "limit",
      ["/lines"] = "limit", ["/empty"] = "net",
    } do
      local stream, err = http.upgrade { unix = socket.path, path = path, timeout = 5 }
      assert.is_nil(stream)
      assert.equal(kind, err.kind, path .. ": " .. err.message)
    end
  end)

  it("times out and can be cancelled while it waits for the head", function()
    local _, err = http.upgrade { unix = socket.path, path = "/silent", timeout = 0.03 }
    assert.equal("timeout", err.kind)
    local child = task.spawn(http.upgrade, { unix = socket.path, path = "/silent" })
    task.sleep(0.02)
    child:cancel("enough")
    assert.is_false(child:join(1))
  end)

  it("refuses paths and methods that would break the request", function()
    for _, path in ipairs { "x", "/a b", "/a\r\nX: y" } do
      assert.error_matches(function() http.upgrade { unix = "x", path = path } end, "path")
    end
    assert.error_matches(function() http.upgrade { unix = "x", path = "/", method = "A B" } end,
      "method")
  end)
end)
