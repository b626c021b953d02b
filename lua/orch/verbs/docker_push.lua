-- Pushes each tag by its name; the result lists the digests.
local push = require "orch.docker.push"
local verb = require "orch.verb"

return verb.define {
  options = { tags = "list", auth = "table?" },
  external = true,
  effects = function(o) return { push = o.tags } end,
  run = function(job, o) return push.push(job, o.tags, o.auth) end,
}
