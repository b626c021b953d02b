-- Reads a file of shell exports, adds to it, and returns all its variables.
local env_file = require "orch.env_file"
local unknown = require "orch.unknown"
local verb = require "orch.verb"

return verb.define {
  positional = "file",
  options = { file = { "string", doc = "need not be there" },
    set = { "table", default = {}, doc = "what is added: { NAME = value }" } },
  plan = function(_, o)
    local known = setmetatable({}, { __index = function(_, name) return unknown.new(name) end })
    for name, value in pairs(o.set) do known[name] = value end
    return known
  end,
  returns = "table<string, string>",
  run = function(job, o)
    local text = ""
    if job.fs.stat(o.file) then text = assert(job.fs.read(o.file)) end
    local changed = env_file.set(text, o.set, o.file)
    if changed ~= text then
      local dir = o.file:match("^(.*)/[^/]*$")
      if dir and dir ~= "" then assert(job.fs.make_dir(dir)) end
      assert(job.fs.write(o.file, changed))
    end
    return env_file.parse(changed, o.file)
  end,
}
