-- Pulls images by name; the result lists ids and digests.
local pull = require "orch.docker.pull"
local verb = require "orch.verb"

return verb.define {
  positional = "images",
  options = {
    images = { "string|list", doc = "HOST/NAME:TAG or HOST/NAME@DIGEST" },
    platform = { "string?", doc = "OS/ARCHITECTURE" },
    auth = { "table?", doc = "a login; default: the one that is kept for the host" },
    all_tags = { "boolean", default = false,
      doc = "images names repositories: pull all that they have" },
  },
  returns = "{ image: string, id: string, digest?: string, new?: boolean }[]",
  run = function(job, o)
    return pull.pull(job,
      { images = verb.list(o.images), platform = o.platform, auth = o.auth, all_tags = o.all_tags })
  end,
}
