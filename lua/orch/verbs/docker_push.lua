-- Pushes each tag by its name, unless its registry has it already; the result lists the digests.
local push = require "orch.docker.push"
local verb = require "orch.verb"

return verb.define {
  positional = "tags",
  options = {
    tags = { "string|list", doc = "HOST/NAME:TAG" },
    auth = { "table?", doc = "a login; default: the one that is kept for the host" },
    all_tags = { "boolean", default = false,
      doc = "tags names repositories: push all that they have here" },
    force = { "boolean", default = false,
      doc = "push also what the registry says it has, as when it has lost layers" },
  },
  external = true,
  effects = function(o) return { push = verb.list(o.tags) } end,
  returns = "{ tag: string, digest: string }[]",
  run = function(job, o)
    return push.push(job, { tags = verb.list(o.tags), auth = o.auth, all_tags = o.all_tags,
      force = o.force })
  end,
}
