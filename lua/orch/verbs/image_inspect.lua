-- What the Engine API says of an image that is here: Id, RepoTags, Config and more.
local client = require "orch.docker.client"
local image = require "orch.docker.image"
local verb = require "orch.verb"

return verb.define {
  positional = "image",
  options = { image = "string" },
  returns = "table<string, any>",
  run = function(job, o) return image.inspect(client.connect(job), o.image) end,
}
