-- Waits that many seconds.
local task = require "orch.task"
local verb = require "orch.verb"

return verb.define {
  positional = "seconds",
  options = { seconds = { "number", min = 0 } },
  run = function(_, o) task.sleep(o.seconds) end,
}
