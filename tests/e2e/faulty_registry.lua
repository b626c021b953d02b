-- A registry with faults before the real one, or before another.
local http = require "orch.http"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"

--- Starts one before the registry at that host and port, with the options of registry_proxy.py:
--- { host, fault, heal, requests, count, stop }.
local function before(upstream, ...)
  local child =
    assert(proc.start { argv = { support.root .. "/tests/services/registry_proxy.py", upstream,
    ... } })
  local self = { host = "127.0.0.1:" .. assert(child:read()):match("%d+") }
  local control = ("http://%s/_control"):format(self.host)
  --- The keys of a fault are endpoint.py's.
  function self.fault(wish)
    assert(assert(http.request { url = control, body = json.encode(wish) }).status == 200)
  end
  function self.heal() assert(http.request { url = control, method = "DELETE" }) end
  function self.requests()
    return json.decode(assert(http.request { url = control .. "/requests" }).body).requests
  end
  --- How many requests came since so many, whose subject has the pattern.
  function self.count(pattern, from)
    local n = 0
    for i, each in ipairs(self.requests()) do
      if i > (from or 0) and each.subject:find(pattern) then n = n + 1 end
    end
    return n
  end
  function self.stop()
    child:cancel()
    child:wait()
  end
  return self
end

local function start(...) return before(os.getenv("ORCH_TEST_REGISTRY"), ...) end

return { start = start, before = before }
