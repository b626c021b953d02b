-- Checks a login with its registry, by the daemon, and keeps it for the rest of the job.
local client = require "orch.docker.client"
local credentials = require "orch.docker.credentials"
local fault = require "orch.docker.fault"
local json = require "orch.json"

local OP <const> = "docker login"
local SOURCE <const> = "docker_login"

-- The identity token that takes the password's place, where the registry gives one.
local function check(job, connected, credential)
  if connected.podman then -- it wants TLS on loopback, and may log in with what it has of its own
    require "orch.docker.registry".check(job, credential)
    return nil
  end
  return fault.retrying(job, function()
    local reply, failure = connected:request { op = OP, method = "POST", path = "/auth",
      json = { username = credential.username, password = credential.password,
        serveraddress = credentials.server_of(credential.registry) } }
    if not reply then
      return nil,
        credentials.blame(job, fault.of_request(OP, credential.registry, failure), credential,
        credential.registry)
    end
    local answer = json.decode(reply.body)
    local token = type(answer) == "table" and answer.IdentityToken
    return type(token) == "string" and token ~= "" and token or false
  end)
end

--- Logs in: other verbs of the job find the login by their image's host.
---@param job orch.Job
---@param spec { registry: string, username: string, password: orch.Secret, write_config: boolean }
---@return { registry: string, username: string }
local function login(job, spec)
  local host = credentials.host_of(spec.registry)
  local credential = credentials.bind(job,
    { registry = host, username = spec.username, password = spec.password },
    SOURCE)
  local token = check(job, client.connect(job), credential)
  if token then
    credential = credentials.bind(job,
      { registry = host, username = spec.username, identity_token = token }, SOURCE)
  end
  credentials.keep(job, credential)
  job:log("logged in to %s as %s", host, spec.username)
  if spec.write_config then job:log("written to %s", credentials.write(job, credential)) end
  return { registry = host, username = spec.username }
end

return { login = login }
