-- The time, in seconds since 1970; a resumed run gets the time that was recorded.
local task = require "orch.task"
local verb = require "orch.verb"

return verb.define { options = {}, returns = "number", run = function() return task.time() end }
