-- Gives an image other names.
local client = require "orch.docker.client"
local image = require "orch.docker.image"
local verb = require "orch.verb"

return verb.define {
  options = { source = "string", tags = "string|list" },
  returns = "string[]",
  run = function(job, o)
    local connected = client.connect(job)
    for _, tag in ipairs(verb.list(o.tags)) do
      image.tag(connected, o.source, tag)
      job:log("%s  is %s", tag, o.source)
    end
    return verb.list(o.tags)
  end,
}
