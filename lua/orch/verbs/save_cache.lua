-- Keeps files for later runs of the project, under a key that is written once.
local amount = require "orch.amount"
local caches = require "orch.caches"
local verb = require "orch.verb"

return verb.define {
  options = {
    key = { "string", doc = "letters, digits and _ . + -" },
    files = { "list", default = {},
      doc = "a hash of these files is added to the key: a lock file" },
    root = { "string", default = ".", doc = "what paths are below" },
    paths = { "list", doc = "files, directories, patterns: { \"node_modules\" }" },
  },
  returns = "{ key: string, saved: boolean }",
  run = function(job, o)
    local key = caches.key_of("save_cache", job, o)
    local packed = caches.keep(job, key, o.root, o.paths)
    if packed then
      job:log("%s: %s, %s", key, amount.entries(packed.entries), amount.size(packed.size))
    else
      job:log("%s is there already", key)
    end
    return { key = key, saved = packed ~= nil }
  end,
}
