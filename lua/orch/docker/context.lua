-- Contexts of the docker command line: named endpoints below DOCKER_CONFIG/contexts.
--
-- Layout: docker/cli, cli/context/store: meta/<sha256 of the name>/meta.json, tls/<the
-- same>/docker/{ca,cert,key}.pem
local config = require "orch.docker.config"
local error_value = require "orch.error"
local fs = require "orch.fs"
local hash = require "orch.hash"
local nearest = require "orch.nearest"

--- The context that is meant where none is named; nil for the default one.
---@param job? orch.Job
---@return string? name, string? source
local function chosen(job)
  local name, source = config.variable(job, "DOCKER_CONTEXT"), "DOCKER_CONTEXT"
  if not name then
    local settings, path = config.read(job)
    name, source = settings.currentContext, "currentContext of " .. path
  end
  if type(name) ~= "string" or name == "" or name == "default" then return nil end
  return name, source
end

local function known_names(dir)
  local names = {}
  for _, each in ipairs(fs.list(dir .. "/meta") or {}) do
    local meta = config.read_json(("%s/meta/%s/meta.json"):format(dir, each))
    if meta then names[#names + 1] = tostring(meta.Name) end
  end
  table.sort(names)
  return names
end

--- A context's endpoint as it is written down.
---@param job? orch.Job
---@param name string
---@param source string who names it, for messages
---@return { host: string, tls_dir?: string }
local function read(job, name, source)
  local dir = config.dir(job) .. "/contexts"
  local id = hash.sha256(name)
  local meta = config.read_json(("%s/meta/%s/meta.json"):format(dir, id))
  if not meta then
    error(error_value.new { kind = "missing", op = "docker",
      message = ("there is no docker context '%s' (%s)%s"):format(name, source,
        nearest.hint(name, known_names(dir))),
      hint = ("`docker context ls` lists them; looked in %s/meta"):format(dir) }, 0)
  end
  local place = type(meta.Endpoints) == "table" and meta.Endpoints.docker
  if type(place) ~= "table" or type(place.Host) ~= "string" or place.Host == "" then
    error(error_value.new { kind = "usage", op = "docker",
      message = ("docker context '%s' has no docker endpoint"):format(name) }, 0)
  end
  if place.SkipTLSVerify == true then
    error(error_value.new { kind = "usage", op = "docker",
      message =
        ("docker context '%s' skips the check of the daemon's certificate; orch does not"):format(name),
      hint = ("docker context update %s --docker host=%s,ca=…,cert=…,key=…"):format(name,
        place.Host) }, 0)
  end
  local tls_dir = ("%s/tls/%s/docker"):format(dir, id)
  return { host = place.Host, tls_dir = fs.stat(tls_dir) and tls_dir or nil }
end

return { chosen = chosen, read = read }
