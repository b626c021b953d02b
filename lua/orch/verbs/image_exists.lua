-- Is an image here, or in its registry? Its id or digest, or false.
local client = require "orch.docker.client"
local image = require "orch.docker.image"
local verb = require "orch.verb"

return verb.define {
  positional = "image",
  options = {
    image = "string",
    remote = { "boolean", default = false, doc = "ask the registry" },
    auth = { "table?", doc = "a login; default: the one that is kept for the host" },
  },
  returns = "string|false",
  run = function(job, o)
    local connected = client.connect(job)
    if o.remote then return image.remote_digest(job, connected, o.image, o.auth) or false end
    local there, failure = image.look(connected, o.image)
    if there then return there.Id end
    return failure.kind ~= "missing" and error(failure, 0) or false
  end,
}
