local http = require "orch.http"
local servers = require "engine.servers.servers"
local task = require "orch.task"

describe("http.request that is cancelled", function()
  local server

  -- ends within ms of the cancellation, whatever the request is doing
  local function cancelled(options, seconds, use)
    local child = task.spawn(function()
      local reply = assert(http.request(options))
      return use and use(reply)
    end)
    task.sleep(seconds or 0.03)
    assert.is_false(child:ended())
    local before = os.clock()
    child:cancel("enough")
    local ok, why = child:join(0.5)
    assert.is_false(ok)
    assert.matches("enough", tostring(why))
    assert.is_true(os.clock() - before < 0.2)
  end

  setup(function() server = servers.http() end)
  teardown(function() server:stop() end)

  it("ends before it began", function()
    local child = task.spawn(http.request, { url = server.url .. "/silent" })
    child:cancel("enough")
    assert.is_false(child:join())
  end)

  it("ends while it waits for the head", function()
    cancelled { url = server.url .. "/silent" }
    cancelled { url = server.url .. "/silent", stream = true }
  end)

  it("ends in the middle of the body", function()
    cancelled { url = server.url .. "/half" }
    cancelled({ url = server.url .. "/half", stream = true }, 0.03, function(reply)
      reply:read()
      reply:read()
    end)
    local path = os.tmpname()
    os.remove(path)
    cancelled { url = server.url .. "/half", file = path }
    assert.is_nil(io.open(path))
  end)

  it("ends while its reader pauses", function()
    cancelled({ url = server.url .. "/bytes?n=50000000", stream = true }, 0.05,
      function() task.sleep(10) end)
  end)

  it("ends while it sends", function()
    cancelled { url = server.url .. "/half", body = ("x"):rep(30000000) }
  end)

  it("ends while it connects", function()
    local full <close> = servers.full() -- its queue of connections is full
    cancelled { url = full.url .. "/hello" }
    local _, err = http.request { url = full.url .. "/hello", connect_timeout = 0.05 }
    assert.equal("timeout", err.kind)
    assert.matches(full.port, err.message)
  end)

  it("ends while it waits for TLS", function()
    cancelled { url = server.url:gsub("^http:", "https:") .. "/x" }
  end)

  it("ends while it looks for an address", function()
    -- a resolver that never answers needs a file of its own in /etc
    local out = servers.deaf_resolver [[
      local http, task = require "orch.http", require "orch.task"
      local child = task.spawn(http.request, { url = "http://host.example/" })
      task.sleep(0.1)
      assert(not child:ended())
      child:cancel("enough")
      print(child:join(0.5))
    ]]
    if not out then return pending("needs unshare -m") end
    assert.matches("^false\tenough", out)
  end)
end)
