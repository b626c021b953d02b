-- Keeps files for the jobs after this one.
local amount = require "orch.amount"
local listing = require "orch.listing"
local verb = require "orch.verb"

return verb.define {
  options = { root = { "string", default = ".", doc = "what paths are below" },
    paths = { "list", doc = "files, directories, patterns: { \"dist/**\" }" } },
  effects = function(o) return { persist = o.paths, root = o.root } end,
  returns = "{ digest: string, entries: integer, size: integer, paths: string[] }",
  run = function(job, o)
    local good, layer = pcall(job.workspace.persist, job.workspace, job.fs, o.root, o.paths,
      job:step_id())
    if not good then error(listing.explain(layer, job, o.root), 0) end
    job:log("%s: %s, %s", layer.digest:sub(1, 19), amount.entries(layer.entries),
      amount.size(layer.size))
    for _, warning in ipairs(job.workspace:rivals(layer)) do job:log("%s", warning) end
    return { digest = layer.digest, entries = layer.entries, size = layer.size,
      paths = layer.paths }
  end,
}
