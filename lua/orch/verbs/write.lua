-- Writes a file of the job, whole or not at all; makes the directories it lacks.
local verb = require "orch.verb"

return verb.define {
  title = function(o) return "write " .. tostring(o.path) end,
  options = {
    path = "string",
    text = "string",
    append = { "boolean", default = false, doc = "to what is there" },
    mode = { "string?", pattern = "[0-7][0-7][0-7][0-7]?", doc = "octal, as chmod takes it: \"755\"" },
  },
  advice = { content = "text = \"…\"", mode = "mode = \"755\"" },
  run = function(job, o)
    local mode = o.mode and tonumber(o.mode, 8) or nil
    local dir = o.path:match("^(.*)/[^/]*$")
    if dir and dir ~= "" then assert(job.fs.make_dir(dir)) end
    assert(job.fs[o.append and "append" or "write"](o.path, o.text, { mode = mode }))
  end,
}
