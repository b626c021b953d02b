-- The logins that a build may need: for the images that its Dockerfile names.
local credentials = require "orch.docker.credentials"
local dockerfile_images = require "orch.docker.dockerfile_images"
local error_value = require "orch.error"
local hash = require "orch.hash"
local json = require "orch.json"
local reference = require "orch.docker.reference"

-- what BuildKit asks for when it means docker.io
local HUB_IN_SESSION <const> = "registry-1.docker.io"

-- One login or a list of them.
local function given_logins(job, auth)
  local list = {}
  for i, each in ipairs(auth and (auth.registry and { auth } or auth) or {}) do
    if type(each) ~= "table" or type(each.registry) ~= "string" then
      error(error_value.new { kind = "usage", op = "docker build",
        message =
          "option 'auth' must be { registry =, username =, password = } or a list of such" }, 0)
    end
    list[i] = credentials.bind(job, each)
  end
  return list
end

-- The login that is kept for a host. One that cannot be read costs a pull, not the build: the image
-- may be here.
local function kept(job, host)
  local good, found = pcall(credentials.for_host, job, host)
  if good then return found end
  if error_value.is(found) and found.kind == "cancelled" then error(found, 0) end
  job:log("no login for %s: %s", host, tostring(found))
end

--- By host: those given, and those kept for the hosts of the images that are named.
---@param job orch.Job
---@param spec { auth?: orch.DockerCredential|orch.DockerCredential[], args: table, cache_from: string[] }
---@param text string of the Dockerfile
---@return table<string, orch.DockerCredential>
local function find(job, spec, text)
  local logins = {}
  for _, each in ipairs(given_logins(job, spec.auth)) do logins[each.registry] = each end
  local images = dockerfile_images.named(text, spec.args)
  table.move(spec.cache_from, 1, #spec.cache_from, #images + 1, images)
  for _, image in ipairs(images) do
    local good, parsed = pcall(reference.parse, image)
    local host = good and credentials.host_of(parsed.host)
    if host and logins[host] == nil then logins[host] = kept(job, host) or false end
  end
  for host, login in pairs(logins) do logins[host] = login or nil end
  return logins
end

--- As a session serves them.
local function for_session(logins)
  local served = {}
  for host, login in pairs(logins) do
    local token = login.identity_token
    if token or login.password then
      served[host == "docker.io" and HUB_IN_SESSION or host] =
        { username = token and "" or login.username, password = token or login.password }
    end
  end
  return served
end

--- The value of X-Registry-Config, which the classic builder pulls with; nil without logins.
local function header(logins)
  local config = {}
  for host, login in pairs(logins) do
    config[credentials.server_of(host)] = login.identity_token
      and { identitytoken = login.identity_token }
      or { username = login.username, password = login.password }
  end
  return next(config) and hash.base64(json.encode(config, { open_secrets = true }), "url") or nil
end

return { find = find, for_session = for_session, header = header }
