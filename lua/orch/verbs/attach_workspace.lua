-- Unpacks what the jobs before this one have persisted.
local amount = require "orch.amount"
local verb = require "orch.verb"

return verb.define {
  positional = "at",
  options = { at = { "string", default = ".", doc = "where to, in the job's directory" },
    from = { "list?", doc = "the jobs whose files are meant, of all that this one needs" } },
  returns = "{ layers: integer, entries: integer }",
  run = function(job, o)
    local layers = job.workspace:attach(job.fs, o.at, o.from)
    if #layers == 0 then
      job:log("nothing to attach: %s has persisted anything",
        o.from and "none of " .. table.concat(o.from, ", ") or "no job that this one needs")
    end
    local count = 0
    for _, layer in ipairs(layers) do
      count = count + layer.entries
      job:log("%s from %s: %s, %s", layer.digest:sub(1, 19), layer.job,
        amount.entries(layer.entries), amount.size(layer.size))
    end
    return { layers = #layers, entries = count }
  end,
}
