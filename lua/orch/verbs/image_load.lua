-- Reads images from an archive in the job's files; the result lists their names.
local client = require "orch.docker.client"
local image = require "orch.docker.image"
local verb = require "orch.verb"

return verb.define {
  positional = "file",
  options = { file = "string" },
  returns = "string[]",
  run = function(job, o)
    local loaded = image.load(client.connect(job), job.fs.seen(o.file))
    for _, name in ipairs(loaded) do job:log("%s", name) end
    return loaded
  end,
}
