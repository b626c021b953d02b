-- Finds the docker daemon and gives its address to the steps that follow.
--
-- Where these run in a container, it is an address that they can reach from there.
local client = require "orch.docker.client"
local unknown = require "orch.unknown"
local verb = require "orch.verb"

-- What a docker program needs to reach the same daemon.
local function environment(job, connected)
  if job.executor.docker_host then
    return { DOCKER_HOST = job.executor:docker_host(job), DOCKER_TLS_VERIFY = "", DOCKER_TLS = "",
      DOCKER_CERT_PATH = "" }
  end
  local endpoint = connected.endpoint
  return { DOCKER_HOST = endpoint.unix and "unix://" .. endpoint.unix or endpoint.host,
    DOCKER_TLS_VERIFY = endpoint.tls_dir and "1" or "", DOCKER_TLS = "",
    DOCKER_CERT_PATH = endpoint.tls_dir or "" }
end

return verb.define {
  options = {},
  replay = "again",
  plan = function()
    return { host = unknown.new("docker host"), api = unknown.new("docker API") }
  end,
  returns = "{ host: string, api: string, server: string }",
  run = function(job)
    local connected = client.connect(job)
    -- Emptied where orch's own environment says otherwise.
    for name, value in pairs(environment(job, connected)) do
      if value ~= "" or os.getenv(name) then job.env[name] = value end
    end
    job:log("%s, API %s at %s", connected.server or "docker", connected.api,
      connected.endpoint.host)
    return { host = job.env.DOCKER_HOST, api = connected.api, server = connected.server }
  end,
}
