-- Takes names of images away, and with the last one the image; absent is good.
local client = require "orch.docker.client"
local image = require "orch.docker.image"
local verb = require "orch.verb"

return verb.define {
  positional = "images",
  options = { images = "string|list", force = { "boolean", default = false } },
  run = function(job, o)
    local connected, removed = client.connect(job), 0
    for _, name in ipairs(verb.list(o.images)) do
      local was_there = image.remove(connected, name, o.force)
      if was_there then removed = removed + 1 end
      job:log("%s  %s", name, was_there and "removed" or "was not there")
    end
    return { removed = removed }
  end,
}
