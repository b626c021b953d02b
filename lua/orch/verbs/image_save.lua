-- Writes images into an archive in the job's files, as `docker save` does.
local client = require "orch.docker.client"
local image = require "orch.docker.image"
local verb = require "orch.verb"

return verb.define {
  options = { images = "string|list", file = "string" },
  returns = "{ file: string, size: integer }",
  run = function(job, o)
    job.fs.receive(o.file, function(path)
      image.save(client.connect(job), verb.list(o.images), path)
    end)
    local stat = assert(job.fs.stat(o.file))
    job:log("%s  %d bytes", o.file, stat.size)
    return { file = o.file, size = stat.size }
  end,
}
