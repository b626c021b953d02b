-- Where the docker daemon is.
local error_value = require "orch.error"
local fs = require "orch.fs"

local function candidates()
  local list = { "/var/run/docker.sock" }
  local runtime = os.getenv("XDG_RUNTIME_DIR")
  if runtime then
    list[#list + 1] = runtime .. "/docker.sock"
    list[#list + 1] = runtime .. "/podman/podman.sock"
  end
  list[#list + 1] = "/run/podman/podman.sock"
  return list
end

local function from_host(host)
  local unix = host:match("^unix://(/.+)$")
  if unix then return { unix = unix, host = host, source = "DOCKER_HOST" } end
  error(error_value.new { kind = "usage", op = "docker",
    message = ("DOCKER_HOST is '%s'; only unix:///path is supported so far"):format(host) }, 0)
end

--- The daemon's endpoint: DOCKER_HOST, else the first socket that is there.
---@return { unix: string, host: string, source: string }
local function find()
  local host = os.getenv("DOCKER_HOST")
  if host and host ~= "" then return from_host(host) end
  local looked = candidates()
  for _, path in ipairs(looked) do
    if fs.stat(path) then return { unix = path, host = "unix://" .. path, source = path } end
  end
  error(error_value.new { kind = "missing", op = "docker",
    message = "no docker socket: looked for " .. table.concat(looked, ", "),
    hint = "start the daemon, or set DOCKER_HOST=unix:///path/to/docker.sock" }, 0)
end

return { find = find }
