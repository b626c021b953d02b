-- The docker executor with a daemon whose volumes cannot be seen from here: trees come and go as
-- archives.
local daemon = require "e2e.daemon"
local executor_suite = require "e2e.executor_suite"
local support = require "e2e.support"

if not support.services() then
  describe("the docker executor, far away,", function()
    it("runs on a real daemon", function() pending("no services: run tests/run.sh") end)
  end)
  return
end

describe("the docker executor, far away,", function()
  local far, suite
  setup(function()
    far = daemon.start { size = "500m", tls = true,
      images = { "cimg/node:14.16.0", "busybox:1.36" } }
  end)
  teardown(function() far:stop() end)
  after_each(function()
    suite:close()
    for id in far:docker("ps", "-aq"):gmatch("%S+") do far:docker("rm", "-f", "-v", id) end
    far:docker("volume", "prune", "-f")
  end)

  describe("by TCP with TLS,", function()
    before_each(function()
      suite = executor_suite.new('orch.docker { image = "cimg/node:14.16.0" }', far:tls_env())
    end)
    executor_suite.each(function(title, case)
      it(title, function() case(suite) end)
    end)
  end)
end)
