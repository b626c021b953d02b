-- Reads a file of the job; the result is its bytes.
local listing = require "orch.listing"
local verb = require "orch.verb"

return verb.define {
  positional = "path",
  title = function(o) return "read " .. tostring(o.path) end,
  options = { path = "string", max = { "integer", default = 64 * 1024 * 1024, doc = "bytes" } },
  returns = "string",
  run = function(job, o)
    local bytes, failure = job.fs.read(o.path, o.max)
    if not bytes then error(listing.explain(failure, job, o.path), 0) end
    return bytes
  end,
}
