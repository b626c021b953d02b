local executor_suite = require "e2e.executor_suite"
local support = require "e2e.support"

if not support.services() then
  describe("the docker executor", function()
    it("runs on a real daemon", function() pending("no services: run tests/run.sh") end)
  end)
  return
end

describe("the docker executor", function()
  local suite
  before_each(function() suite = executor_suite.new 'orch.docker { image = "cimg/node:14.16.0" }' end)
  after_each(function() suite:close() end)
  executor_suite.each(function(title, case) it(title, function() case(suite) end) end)
end)
