local service = require "orch.executor.docker.service"

describe("a service", function()
  -- Waits for one that an earlier session has left, as the Engine tells of it; what was probed.
  local function wait_for(health)
    local engine = {}
    function engine:name(suffix) return "job-" .. suffix end
    function engine:revive() return true end
    function engine:rejoin() end
    function engine:logs() return "" end
    function engine:inspect()
      return { State = { Running = true, Health = health }, Config = { ExposedPorts = {
        ["81/tcp"] = {}, ["80/tcp"] = {}, ["53/udp"] = {} } },
        NetworkSettings = { Networks = { net = { IPAddress = "10.0.0.2" } } } }
    end
    local list = service.check { { image = "h.example/web:1", timeout = 0.3 } }
    local services = service.start(engine, list, "net", { ["job-web"] = "id" }, function() end)
    local probed = "nothing"
    services:wait(function(address, port)
      probed = ("%s:%d"):format(address, port)
      return true
    end)
    return probed
  end

  it("is ready when its lowest port answers, where nothing checks its health", function()
    assert.equal("10.0.0.2:80", wait_for(nil))
    assert.equal("10.0.0.2:80", wait_for { Status = "none" })
    assert.equal("10.0.0.2:80", wait_for { Status = "" }) -- podman's way to say so
  end)

  it("is ready when its check says so, whatever its ports do", function()
    assert.equal("nothing", wait_for { Status = "healthy" })
    local good, failure = pcall(wait_for, { Status = "starting" })
    assert.is_false(good)
    assert.equal("timeout", failure.kind)
  end)
end)
