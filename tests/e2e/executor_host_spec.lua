local executor_suite = require "e2e.executor_suite"

describe("the host executor", function()
  local suite
  before_each(function() suite = executor_suite.new "orch.host {}" end)
  after_each(function() suite:close() end)
  executor_suite.each(function(title, case) it(title, function() case(suite) end) end)
end)
