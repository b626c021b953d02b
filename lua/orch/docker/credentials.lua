-- Logins for registries, each bound to its registry's host: of this job's docker_login, of
-- DOCKER_AUTH_CONFIG, of the docker command line's config.json and its helpers.
local config = require "orch.docker.config"
local error_value = require "orch.error"
local fs = require "orch.fs"
local hash = require "orch.hash"
local helper = require "orch.docker.credential_helper"
local json = require "orch.json"
local secret = require "orch.secret"

-- Docker Hub has several names; config files know it by a URL (docker/cli, registry.IndexServer).
local HUB <const> = "docker.io"
local HUB_SERVER <const> = "https://index.docker.io/v1/"
local HUB_NAMES <const> = { ["docker.io"] = true, ["index.docker.io"] = true,
  ["registry-1.docker.io"] = true,
  ["registry.hub.docker.com"] = true }

---@class orch.DockerCredential
---@field registry string host[:port]
---@field username? string
---@field password? orch.Secret
---@field identity_token? orch.Secret in place of user and password
---@field registry_token? orch.Secret likewise, a bearer token
---@field source string where it comes from, for messages

--- HOST[:PORT] of a registry given by host, URL, or one of Docker Hub's names.
local function host_of(registry)
  local host = registry:gsub("^%a+://", ""):match("^[^/]*"):lower()
  return HUB_NAMES[host] and HUB or host
end

--- How config files, helpers and the daemon name the registry of a host.
local function server_of(host) return host == HUB and HUB_SERVER or host end

local of_job = setmetatable({}, { __mode = "k" })

local function kept(job)
  if not job then return {} end
  of_job[job] = of_job[job] or {}
  return of_job[job]
end

local function as_secret(job, value, name)
  local hidden = secret.is(value) and value or secret.new(value, name)
  if job then job:mask(hidden) end
  return hidden
end

-- --- config.json's form --------------------------------------------------------------------------

local function text_of(entry, key)
  local value = entry[key]
  return type(value) == "string" and value ~= "" and value or nil
end

local function of_entry(job, host, entry, source)
  local name = "login of " .. host
  if text_of(entry, "identitytoken") then
    return { registry = host, source = source,
      identity_token = as_secret(job, entry.identitytoken, name) }
  elseif text_of(entry, "registrytoken") then
    return { registry = host, source = source,
      registry_token = as_secret(job, entry.registrytoken, name) }
  elseif text_of(entry, "auth") then
    local decoded = hash.unbase64(as_secret(job, entry.auth, name))
    local username, password
    if decoded then username, password = secret.split(decoded, ":") end
    if not username or secret.len(password) == 0 then
      error(error_value.new { kind = "auth", op = "docker",
        message = ("%s: the 'auth' of %s is no base64 of USER:PASSWORD"):format(source, host) }, 0)
    end
    return { registry = host, source = source, username = username,
      password = as_secret(job, password, name) }
  elseif text_of(entry, "username") and text_of(entry, "password") then
    return { registry = host, source = source, username = entry.username,
      password = as_secret(job, entry.password, name) }
  end
end

-- The entry for a host: by the name that the command line writes, else by any key that comes to the
-- host.
local function entry_of(map, host)
  if type(map) ~= "table" then return nil end
  local key = server_of(host)
  if map[key] == nil then
    local keys = {}
    for each in pairs(map) do
      if type(each) == "string" then keys[#keys + 1] = each end
    end
    table.sort(keys)
    key = nil
    for _, each in ipairs(keys) do
      if not key and host_of(each) == host then key = each end
    end
  end
  return key and map[key], key
end

local function of_variable(job, host)
  local text = config.variable(job, "DOCKER_AUTH_CONFIG")
  -- JSON is not read from secrets
  if secret.is(text) then text = os.getenv("DOCKER_AUTH_CONFIG") end
  if not text then return nil end
  local decoded = json.decode(text)
  if type(decoded) ~= "table" then
    error(error_value.new { kind = "usage", op = "docker",
      message = "DOCKER_AUTH_CONFIG is no JSON object",
      hint = 'it is as config.json: {"auths": {"HOST": {"auth": "…"}}}' }, 0)
  end
  local entry = entry_of(decoded.auths, host)
  return type(entry) == "table" and of_entry(job, host, entry, "DOCKER_AUTH_CONFIG") or nil
end

local function of_helper(job, name, path, host, server)
  local answer = helper.get(job, name, path, server)
  if not answer then return nil end
  local hidden = as_secret(job, answer.Secret, "login of " .. host)
  local found = { registry = host, source = "docker-credential-" .. name }
  if answer.Username == "<token>" then
    found.identity_token = hidden
  else
    found.username, found.password = answer.Username, hidden
  end
  kept(job)[host] = found -- helpers are slow, and may ask a service
  return found
end

-- The helper that is named for a host, and what it is asked for; one without a name is none, not
-- even that of the other hosts (docker/cli, getConfiguredCredentialStore).
local function helper_of(settings, host)
  local name, key = entry_of(settings.credHelpers, host)
  if type(name) == "string" then return name ~= "" and name or nil, key end
  name = settings.credsStore
  if type(name) == "string" and name ~= "" then return name, server_of(host) end
end

local function of_file(job, host)
  local settings, path = config.read(job)
  local name, server = helper_of(settings, host)
  local found = name and of_helper(job, name, path, host, server)
  if found then return found end
  local entry = entry_of(settings.auths, host)
  return type(entry) == "table" and of_entry(job, host, entry, path) or nil
end

-- --- for the verbs -------------------------------------------------------------------------------

--- The login for a registry, or nil. Raises when one is there but cannot be read: a broken file, a
--- helper that is missing or fails.
---@param job? orch.Job
---@param host string host[:port], a URL, or a name of Docker Hub
---@return orch.DockerCredential?
local function for_host(job, host)
  host = host_of(host)
  return kept(job)[host] or of_variable(job, host) or of_file(job, host)
end

--- A login whose secrets are hidden from now on.
---@param given { registry: string, username?: string, password?: any, identity_token?: any, registry_token?: any }
---@param source? string where it comes from; default: option auth
---@return orch.DockerCredential
local function bind(job, given, source)
  local host = host_of(given.registry)
  local bound = { registry = host, username = given.username, source = source or "option auth" }
  for _, key in ipairs { "password", "identity_token", "registry_token" } do
    if given[key] then bound[key] = as_secret(job, given[key], "login of " .. host) end
  end
  return bound
end

--- Keeps a login for the rest of the job.
---@param credential orch.DockerCredential
local function keep(job, credential) kept(job)[host_of(credential.registry)] = credential end

--- The login for an image's host: the one that was given, which must be for that host, else
--- for_host.
---@param job orch.Job
---@param given? table a verb's option auth
---@param host string
---@param what string the image, for messages
---@return orch.DockerCredential?
local function choose(job, given, host, what)
  if not given then return for_host(job, host) end
  if type(given.registry) ~= "string" then
    error(error_value.new { kind = "usage", op = "docker",
      message = "auth does not say whose it is: expected { registry =, username =, password = }" },
        0)
  end
  if host_of(given.registry) ~= host_of(host) then
    error(error_value.new { kind = "usage", op = "docker",
      message = ("the credential is for %s, but %s goes to %s"):format(given.registry, what,
        host) }, 0)
  end
  return bind(job, given)
end

--- The value of X-Registry-Auth: base64url, padded, of the JSON; never absent, for 20.10 refuses a
--- push without.
---@param credential? orch.DockerCredential
---@return string|orch.Secret
local function header(credential)
  local fields = {}
  if not credential then
    return hash.base64("{}", "url")
  elseif credential.identity_token then
    fields.identitytoken = credential.identity_token
  elseif credential.registry_token then
    fields.registrytoken = credential.registry_token
  else
    fields.username, fields.password = credential.username, credential.password
    fields.serveraddress = server_of(credential.registry)
  end
  return hash.base64(json.encode(fields, { open_secrets = true }), "url")
end

--- Says in a registry's refusal which login it was that was refused, or that there is none.
---@param failure table
---@param credential? orch.DockerCredential what was sent
---@param host string
---@return table failure
local function blame(job, failure, credential, host)
  if failure.kind ~= "auth" then return failure end
  if not credential then
    failure.hint =
      ("there is no login for %s: give one with docker_login or auth = …, or by `docker login %s`, "
      .. "which %s/config.json keeps"):format(host_of(host), host_of(host), config.dir(job))
    return failure
  end
  local user = type(credential.username) == "string" and ("of '%s' "):format(credential.username)
    or ""
  failure.hint = ("the login %sis from %s: is it right, may it do this, %s?"):format(user,
    credential.source,
    credential.username == "AWS" and "is it less than 12 hours old (ecr_login)" or "has it expired")
  return failure
end

-- --- writing -------------------------------------------------------------------------------------

--- Writes a login where the docker command line keeps it: to the helper that is named for the host,
--- else into config.json, readable by its owner only.
---@param credential orch.DockerCredential with a user name and password, or an identity token
---@return string where
local function write(job, credential)
  local settings, path = config.read(job)
  local host, server = credential.registry, server_of(credential.registry)
  local name, key = helper_of(settings, host)
  if name then
    local token = credential.identity_token
    helper.store(job, name, path, key, token and "<token>" or credential.username,
      token or credential.password)
    return "docker-credential-" .. name
  end
  local entry = credential.identity_token and { auth = hash.base64(credential.username .. ":"),
      identitytoken = credential.identity_token }
    or { auth = hash.base64(credential.username .. ":" .. credential.password) }
  if type(settings.auths) ~= "table" then settings.auths = {} end
  settings.auths[server] = entry
  assert(fs.make_dir(config.dir(job), tonumber("700", 8)))
  -- fs.write keeps the mode of what is there
  if fs.stat(path) then assert(fs.chmod(path, tonumber("600", 8))) end
  assert(fs.write(path, json.encode(settings, { open_secrets = true, pretty = true }) .. "\n",
    { mode = tonumber("600", 8) }))
  return path
end

return { for_host = for_host, choose = choose, bind = bind, keep = keep, header = header,
  blame = blame, write = write,
  host_of = host_of, server_of = server_of }
