-- Finds the docker daemon and gives its address to the steps that follow.
local client = require "orch.docker.client"
local verb = require "orch.verb"

return verb.define {
  options = {},
  replay = "again",
  run = function(job)
    local connected = client.connect()
    job.env.DOCKER_HOST = connected.endpoint.host
    job:log("%s, API %s at %s", connected.server or "docker", connected.api, connected.endpoint.host)
    return { host = connected.endpoint.host, api = connected.api, server = connected.server }
  end,
}
