-- Builds an image from a directory of the job and gives it all the tags.
local build = require "orch.docker.build"
local reference = require "orch.docker.reference"
local verb = require "orch.verb"

return verb.define {
  options = {
    tags = "list",
    context = { "string", default = "." },
    dockerfile = { "string", default = "Dockerfile" },
    args = { "table", default = {} },
    labels = { "table", default = {} },
    target = "string?",
    platform = "string?",
    pull = { "boolean", default = false },
    no_cache = { "boolean", default = false },
    classic = { "boolean", default = false },
  },
  external = true,
  effects = function(o) return { build = o.tags } end,
  run = function(job, o)
    for _, tag in ipairs(o.tags) do reference.parse(tag) end
    local result = build.build(job, o)
    job:log("%s", result.image)
    for _, tag in ipairs(o.tags) do job:log("  tagged %s", tag) end
    return result
  end,
}
