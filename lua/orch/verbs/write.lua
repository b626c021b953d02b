-- Writes a file of the job, whole or not at all; makes the directories it lacks.
local verb = require "orch.verb"

return verb.define {
  title = function(o) return "write " .. tostring(o.path) end,
  options = {
    path = "string",
    text = "string",
    append = { "boolean", default = false },
    mode = "integer?",
  },
  run = function(job, o)
    local dir = o.path:match("^(.*)/[^/]*$")
    if dir and dir ~= "" then assert(job.fs.make_dir(dir)) end
    assert(job.fs[o.append and "append" or "write"](o.path, o.text, { mode = o.mode }))
  end,
}
