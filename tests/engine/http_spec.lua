local http = require "orch.http"
local servers = require "engine.servers.servers"

describe("http.request", function()
  local server, socket

  setup(function()
    server = servers.http()
    socket = servers.http { unix = true }
  end)

  teardown(function()
    server:stop()
    socket:stop()
  end)

  it("gets", function()
    local reply = assert(http.request { url = server.url .. "/hello" })
    assert.equal(200, reply.status)
    assert.equal("hello", reply.body)
    assert.equal("5", reply.headers["content-length"])
    assert.equal(server.url .. "/hello", reply.url)
  end)

  it("talks over a unix socket and keeps the connection for the next request", function()
    local numbers = {}
    for i = 1, 3 do
      numbers[i] = assert(http.request { url = "http://d/connection", unix = socket.path }).body
    end
    assert.same({ "1", "1", "1" }, numbers)
  end)

  it("posts a body with its length and without calling it a form", function()
    local reply = assert(http.request { url = server.url .. "/echo", body = "text" })
    assert.matches("^POST /echo HTTP/1.1\n", reply.body)
    assert.matches("\nContent%-Length: 4\n", reply.body)
    assert.not_matches("Content%-Type", reply.body)
    assert.not_matches("Expect", reply.body)
    assert.matches("\nUser%-Agent: orch/", reply.body)
    assert.matches("\n\ntext$", reply.body)
  end)

  it("streams a reply", function()
    local reply <close> = assert(http.request { url = server.url .. "/bytes?n=3000000", stream = true })
    assert.equal("3000000", reply.headers["content-length"])
    local size = 0
    for piece in function() return reply:read() end do size = size + #piece end
    assert.equal(3000000, size)
  end)
end)
