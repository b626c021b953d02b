local http = require "orch.http"
local lfs = require "lfs"
local secret = require "orch.secret"
local servers = require "engine.servers.servers"
local task = require "orch.task"

local function read_all(reply)
  local pieces = {}
  for piece in function() return reply:read() end do pieces[#pieces + 1] = piece end
  return table.concat(pieces)
end

describe("http.request", function()
  local server, other, socket

  local function get(path, options)
    options = options or {}
    options.url = server.url .. path
    return http.request(options)
  end

  setup(function()
    server, other, socket = servers.http(), servers.http(), servers.http { unix = true }
  end)

  teardown(function()
    for _, each in ipairs { server, other, socket } do each:stop() end
  end)

  it("gets", function()
    local reply = assert(get("/hello"))
    assert.same({
      status = 200, body = "hello", url = server.url .. "/hello",
      headers = { ["content-length"] = "5" },
    }, reply)
  end)

  it("takes any status for a reply", function()
    for _, status in ipairs { 404, 500, 301, 401 } do
      local reply = assert(get("/status?s=" .. status))
      assert.equal(status, reply.status)
      assert.equal("body of " .. status, reply.body)
    end
  end)

  it("keeps the connection for the next request", function()
    local number = assert(get("/connection")).body
    for _ = 1, 3 do assert.equal(number, assert(get("/connection")).body) end
    for _ = 1, 3 do
      assert.equal("1",
        assert(http.request { url = "http://d/connection", unix = socket.path }).body)
    end
  end)

  it("does without a kept connection that the server has closed since", function()
    for i = 1, 10 do
      assert(get("/vanish"))
      if i % 2 == 0 then task.sleep(0.01) end
      assert.equal("3 length", assert(get("/count", { body = "abc" })).body)
    end
  end)

  it("posts a body with its length and without calling it a form", function()
    local reply = assert(get("/echo", { body = "text" }))
    assert.matches("^POST /echo HTTP/1.1\n", reply.body)
    assert.matches("\nContent%-Length: 4\n", reply.body)
    assert.not_matches("Content%-Type", reply.body)
    assert.not_matches("Expect", reply.body)
    assert.matches("\nUser%-Agent: orch/", reply.body)
    assert.matches("\n\ntext$", reply.body)
    assert.equal("5000000 length",
      assert(get("/count", { body = ("x"):rep(5000000), method = "PUT" })).body)
    assert.matches("\nContent%-Length: 0\n", assert(get("/echo", { method = "POST" })).body)
  end)

  it("sends headers as they are given", function()
    local text = assert(get("/echo", {
      headers = {
        ["Content-Type"] = "application/x-tar", X = { "a", "b" }, Empty = "", Number = 5,
        Host = "other:1",
      },
    })).body
    for _,
      line in ipairs { "Content-Type: application/x-tar", "X: a\nX: b", "Empty:", "Number: 5",
      "Host: other:1" } do
      assert.truthy(text:find("\n" .. line .. "\n", 1, true), line)
    end
  end)

  it("opens secrets only on the wire", function()
    local token, body = secret.new("t0ken", "TOKEN"), secret.new("b0dy", "BODY")
    local reply = assert(get("/echo", {
      headers = { Authorization = "Bearer " .. token }, body = body, method = "PUT",
    }))
    assert.matches("\nAuthorization: Bearer t0ken\n", reply.body)
    assert.matches("\n\nb0dy$", reply.body)
    local _, err = http.request {
      url = "http://127.0.0.1:1/?" .. token, headers = { A = token },
      basic = { user = "u", password = token },
    }
    assert.equal("net", err.kind)
    assert.not_matches("t0ken", err.message)
    reply = assert(get("/echo", { basic = { user = "u", password = secret.new("p", "P") } }))
    assert.matches("\nAuthorization: Basic dTpw\n", reply.body)
  end)

  it("joins repeated headers under a lower-case name", function()
    local headers = assert(get("/joined")).headers
    assert.equal("a, b, c", headers["x-many"])
    assert.equal("", headers["x-empty"])
    assert.equal("one two", headers["x-fold"])
  end)

  it("reads every form of body", function()
    assert.equal("", assert(get("/nothing")).body)
    assert.equal("", assert(get("/hello", { method = "HEAD" })).body)
    assert.equal("5", assert(get("/hello", { method = "HEAD" })).headers["content-length"])
    assert.equal("one two three", assert(get("/chunked")).body)
    assert.equal("until the end", assert(get("/eof")).body)
    assert.equal("after hints", assert(get("/continue")).body)
    assert.is_nil(get("/chunked").headers["x-trailer"])
  end)

  it("streams a reply, whose server waits for the reader", function()
    local reply <close> = assert(get("/bytes?n=100000000", { stream = true }))
    assert.equal(200, reply.status)
    assert.equal("100000000", reply.headers["content-length"])
    assert.equal(server.url .. "/bytes?n=100000000", reply.url)
    task.sleep(0.05)
    local first = assert(reply:read())
    assert.is_true(#first < 2 << 20)
    local size = #first
    for piece in function() return reply:read() end do size = size + #piece end
    assert.equal(100000000, size)
    assert.is_nil(reply:read())
  end)

  it("streams piece by piece as they come", function()
    local reply <close> = assert(get("/chunked?pause=0.03", { stream = true }))
    assert.equal("one ", reply:read())
    assert.equal("two ", reply:read())
    assert.equal("three", read_all(reply))
  end)

  it("ends a stream that is closed or whose task ends", function()
    local reply = assert(get("/half", { stream = true }))
    assert.equal("half", reply:read())
    reply:close()
    reply:close()
    assert.error_matches(function() reply:read() end, "closed")
    local child = task.spawn(function() return assert(get("/half", { stream = true })) end)
    assert.is_true(child:join())
  end)

  it("comes with <close>, and harms nobody who still reads", function()
    local reader, kept
    do
      local reply <close> = assert(get("/half", { stream = true }))
      assert.equal("half", reply:read())
      kept = reply
      reader = task.spawn(function() return reply:read() end)
      task.sleep(0)
    end
    local good, failure = reader:join(2)
    assert.is_false(good)
    assert.matches("closed", tostring(failure), 1, true)
    assert.equal(200, kept.status)
    assert.error_matches(function() kept:read() end, "closed")
  end)

  it("runs 200 requests side by side", function()
    local tasks = {}
    for i = 1, 200 do
      tasks[i] = task.spawn(function()
        return assert(get("/echo", { body = "body " .. i })).body
      end)
    end
    for i, each in ipairs(tasks) do
      local ok, body = each:join()
      assert.is_true(ok)
      assert.matches("\n\nbody " .. i .. "$", body)
    end
  end)

  it("writes a file, complete or not at all", function()
    local path = os.tmpname()
    local dir = path .. ".d"
    os.remove(path)
    assert(lfs.mkdir(dir))
    local file = dir .. "/got"
    local reply = assert(get("/bytes?n=3000000", { file = file }))
    assert.is_nil(reply.body)
    assert.equal(3000000, lfs.attributes(file, "size"))
    assert.equal("rw-------", lfs.attributes(file, "permissions"))
    assert.equal("body of 404", assert(get("/status?s=404", { file = dir .. "/no" })).body)
    local _, err = get("/truncated", { file = dir .. "/no" })
    assert.equal("remote", err.kind)
    _, err = get("/bytes?n=3000000", { file = dir .. "/no", body_max = 100 })
    assert.equal("limit", err.kind)
    _, err = get("/hello", { file = dir .. "/no/such/dir" })
    assert.equal("missing", err.kind)
    local names = {}
    for name in lfs.dir(dir) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ ".", "..", "got" }, names)
    os.remove(file)
    lfs.rmdir(dir)
  end)

  describe("redirects", function()
    it("is a reply unless asked for", function()
      local reply = assert(get("/redirect?to=/hello"))
      assert.equal(302, reply.status)
      assert.equal("/hello", reply.headers.location)
    end)

    it("follows on the same host with everything", function()
      local reply =
        assert(get("/redirect?to=/echo", { redirects = 1, headers = { ["X-Token"] = "abc" } }))
      assert.equal(server.url .. "/echo", reply.url)
      assert.matches("\nX%-Token: abc\n", reply.body)
    end)

    it("gives no credential to another host", function()
      local token = secret.new("tell-nobody", "T")
      local reply = assert(get("/redirect?to=" .. other.url .. "/echo", {
        redirects = 2, basic = { user = "u", password = token },
        headers = { Authorization = token, ["X-Amz-Security-Token"] = token, Cookie = token,
          Accept = "a/b" },
      }))
      assert.equal(other.url .. "/echo", reply.url)
      assert.matches("\nAccept: a/b\n", reply.body)
      assert.not_matches("tell", reply.body)
      assert.not_matches("Authorization", reply.body)
      local log = assert(http.request { url = other.url .. "/log" }).body
      assert.not_matches("tell", log)
    end)

    it("gives none on the way back either", function()
      local reply =
        assert(get("/redirect?to=" .. other.url .. "/redirect%3Fto%3D" .. server.url .. "/echo", {
        redirects = 2, headers = { ["X-Token"] = "abc" },
      }))
      assert.equal(server.url .. "/echo", reply.url)
      assert.not_matches("abc", reply.body)
    end)

    it("does not send a body twice", function()
      assert.equal(307,
        assert(get("/redirect?s=307&to=/echo", { redirects = 3, body = "x" })).status)
      assert.equal(302,
        assert(get("/redirect?to=/echo", { redirects = 3, method = "DELETE" })).status)
    end)

    it("stops at the limit, at other protocols and at a socket's end", function()
      local _, err = get("/loop", { redirects = 3 })
      assert.equal("limit", err.kind)
      _, err = get("/redirect?to=file:///etc/passwd", { redirects = 3 })
      assert.equal("remote", err.kind)
      _, err = get("/redirect?to=http://u:p@127.0.0.1/", { redirects = 3 })
      assert.equal("remote", err.kind)
      _, err = http.request { url = "http://d/redirect?to=" .. other.url .. "/hello",
        unix = socket.path, redirects = 3 }
      assert.equal("remote", err.kind)
      local reply =
        assert(http.request { url = "http://d/redirect?to=/hello", unix = socket.path,
        redirects = 3 })
      assert.equal("hello", reply.body)
    end)

    it("streams only the last answer", function()
      local reply <close> = assert(get("/redirect?to=/chunked", { redirects = 1, stream = true }))
      assert.equal(200, reply.status)
      assert.equal("one two three", read_all(reply))
    end)
  end)

  describe("proxies of the environment", function()
    it("are passed by for a loopback address and a socket", function()
      -- the suite itself has no proxy set; a child has one that nobody serves
      local out =
        servers.orch({ http_proxy = "http://127.0.0.1:1", all_proxy = "http://127.0.0.1:1" }, [[
        local http, url, socket = require "orch.http", ...
        print(http.request { url = url }, http.request { url = "http://d/hello", unix = socket })
        local _, err = http.request { url = "http://192.0.2.1/" }
        print(err.kind, err.message)
      ]], server.url .. "/hello", socket.path)
      assert.matches("^table: %S+%s+table: %S+\nnet", out)
      assert.matches("the proxy for 192.0.2.1:80: .*127.0.0.1 port 1", out)
    end)
  end)
end)
