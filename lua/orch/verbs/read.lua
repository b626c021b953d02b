-- Reads a file of the job; the result is its bytes.
local verb = require "orch.verb"

return verb.define {
  positional = "path",
  options = { path = "string", max = { "integer", default = 64 * 1024 * 1024 } },
  returns = "string",
  run = function(job, o) return assert(job.fs.read(o.path, o.max)) end,
}
