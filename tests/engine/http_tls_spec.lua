local http = require "orch.http"
local lfs = require "lfs"
local proc = require "orch.proc"
local servers = require "engine.servers.servers"

describe("http.request over TLS", function()
  local dir, server, strict, plain

  local function run(...)
    local result = assert(proc.run { argv = { ... }, cwd = dir })
    assert.equal(0, result.code, result.stdout)
  end

  local function certificate(name, subject, ca)
    local request = { "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
      "ec_paramgen_curve:P-256", "-nodes",
      "-days", "2", "-keyout", name .. ".key", "-out", name .. ".pem", "-subj", "/CN=" .. name,
      "-addext", "subjectAltName=" .. subject }
    if ca then
      table.move({ "-CA", ca .. ".pem", "-CAkey", ca .. ".key" }, 1, 4, #request + 1, request)
    end
    run(table.unpack(request))
  end

  setup(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(lfs.mkdir(dir))
    certificate("ours", "IP:127.0.0.1")
    certificate("elsewhere", "DNS:elsewhere.example")
    certificate("me", "DNS:me")
    server = servers.http { cert = dir .. "/ours.pem", key = dir .. "/ours.key" }
    strict = servers.http {
      cert = dir .. "/ours.pem", key = dir .. "/ours.key", client_ca = dir .. "/me.pem",
    }
    plain = servers.http()
  end)

  teardown(function()
    server:stop()
    strict:stop()
    plain:stop()
    for name in lfs.dir(dir) do os.remove(dir .. "/" .. name) end
    lfs.rmdir(dir)
  end)

  it("refuses a certificate that nobody vouches for", function()
    local _, err = http.request { url = server.url .. "/hello" }
    assert.equal("net", err.kind)
    assert.matches(server.port, err.message)
    assert.matches("ca_file", err.message)
  end)

  it("accepts one whose authority is named, and keeps the connection", function()
    for _ = 1, 2 do
      local reply =
        assert(http.request { url = server.url .. "/connection", ca_file = dir .. "/ours.pem" })
      assert.equal(200, reply.status)
    end
    local reply <close> =
      assert(http.request { url = server.url .. "/bytes?n=3000000", ca_file = dir .. "/ours.pem",
        stream = true })
    local size = 0
    for piece in function() return reply:read() end do size = size + #piece end
    assert.equal(3000000, size)
  end)

  it("does not let a trusted connection serve a request that does not trust it", function()
    assert(http.request { url = server.url .. "/hello", ca_file = dir .. "/ours.pem" })
    local _, err = http.request { url = server.url .. "/hello" }
    assert.equal("net", err.kind)
  end)

  it("refuses another host's certificate", function()
    local wrong = servers.http { cert = dir .. "/elsewhere.pem", key = dir .. "/elsewhere.key" }
    local _, err = http.request { url = wrong.url .. "/hello", ca_file = dir .. "/elsewhere.pem" }
    wrong:stop()
    assert.equal("net", err.kind)
    assert.matches("not accepted", err.message)
  end)

  it("is net when the server speaks no TLS", function()
    local rude <close> = servers.rude()
    local _, err = http.request { url = "https://127.0.0.1:" .. rude.port .. "/", timeout = 5 }
    assert.equal("net", err.kind)
    assert.matches(rude.port, err.message)
  end)

  it("shows our certificate when asked to", function()
    local peer = { url = strict.url .. "/hello", ca_file = dir .. "/ours.pem" }
    local _, err = http.request(peer)
    assert.equal("net", err.kind, err.message)
    peer.cert_file, peer.key_file = dir .. "/me.pem", dir .. "/ours.key"
    _, err = http.request(peer)
    assert.equal("usage", err.kind, err.message)
    peer.key_file = dir .. "/me.key"
    assert.equal("hello", assert(http.request(peer)).body)
  end)

  it("refuses to be led from https to http", function()
    local _, err = http.request {
      url = server.url .. "/redirect?to=" .. plain.url .. "/hello", ca_file = dir .. "/ours.pem",
      redirects = 2,
    }
    assert.equal("remote", err.kind)
    assert.matches("https to plain http", err.message)
  end)

  it("carries a raw stream", function()
    local place = { host = "127.0.0.1", port = tonumber(server.port), tls = true,
      ca_file = dir .. "/ours.pem" }
    local stream <close> = assert(http.stream(place))
    assert(stream:write("GET /bytes?n=3000000 HTTP/1.1\r\n\r\n"))
    local size = 0
    while size < 3000000 do size = size + #assert(stream:read()) end
    place.ca_file = nil
    local _, err = http.stream(place)
    assert.equal("net", err.kind)
  end)

  it("carries an upgrade, whose sending side can be ended first", function()
    local stream <close> = assert(http.upgrade {
      host = "127.0.0.1", port = tonumber(server.port), tls = true, ca_file = dir .. "/ours.pem",
      path = "/upgrade",
    })
    assert(stream:write("abc"))
    assert(stream:shutdown())
    local text = ""
    while #text < 12 do text = text .. assert(stream:read()) end
    assert.equal("ahead:ABCbye", text)
    assert.is_nil(stream:read())
  end)

  it("ends the sending side of a stream that was never used", function()
    local stream <close> = assert(http.stream {
      host = "127.0.0.1", port = tonumber(server.port), tls = true, ca_file = dir .. "/ours.pem",
    })
    assert(stream:shutdown())
    assert.is_nil(stream:read())
  end)
end)
