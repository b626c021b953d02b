-- Where the docker daemon is: DOCKER_HOST, a context, or a socket that is there.
--
-- Order, variables and files as the docker command line has them
-- (docs.docker.com/reference/cli/docker).
local config = require "orch.docker.config"
local context = require "orch.docker.context"
local error_value = require "orch.error"
local fs = require "orch.fs"

---@class orch.DockerEndpoint
---@field host string as DOCKER_HOST would have it
---@field source string who says so
---@field base string what a request's URL begins with
---@field unix? string the socket
---@field ca_file? string
---@field cert_file? string
---@field key_file? string
---@field place? { host: string, port: integer, tls: boolean } when it is no socket
---@field tls_dir? string where the certificates are
---@field ssh? { user?: string, host: string, port?: string, socket: string } to be forwarded first

local function refuse(source, host, why, hint)
  error(error_value.new { kind = "usage", op = "docker", hint = hint,
    message = ("%s is '%s': %s"):format(source, host, why) }, 0)
end

local function is_loopback(name)
  return name == "localhost" or name == "::1" or name:match("^127%.%d+%.%d+%.%d+$") ~= nil
end

local readers = {}

function readers.unix(rest, host, source)
  if not rest:match("^/.") then
    refuse(source, host, "a socket's path begins with /, as in unix:///var/run/docker.sock")
  end
  return { unix = rest, host = host, source = source, base = "http://docker" }
end

local function certificates(endpoint, dir)
  endpoint.tls_dir = dir
  for key, name in pairs { ca_file = "ca.pem", cert_file = "cert.pem", key_file = "key.pem" } do
    if fs.stat(dir .. "/" .. name) then endpoint[key] = dir .. "/" .. name end
  end
  if (endpoint.cert_file == nil) ~= (endpoint.key_file == nil) then
    error(error_value.new { kind = "usage", op = "docker",
      message =
        ("%s has only one of cert.pem and key.pem; a client certificate needs both"):format(dir) },
        0)
  end
end

function readers.tcp(rest, host, source, tls_dir)
  local name, port = rest:match("^%[([%x:.]+)%]:?(%d*)/?$")
  if not name then name, port = rest:match("^([%w._-]+):?(%d*)/?$") end
  if not name then refuse(source, host, "expected tcp://HOST:PORT") end
  if not tls_dir and not is_loopback(name) then
    refuse(source, host, "without TLS anybody on the way could take over the machine behind it",
      "set DOCKER_TLS_VERIFY=1, with ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH; or use ssh://USER@HOST")
  end
  local number = math.tointeger(tonumber(port)) or (tls_dir and 2376 or 2375)
  local shown = name:find(":", 1, true) and "[" .. name .. "]" or name
  local endpoint = { host = host, source = source,
    place = { host = name, port = number, tls = tls_dir ~= nil },
    base = ("%s://%s:%d"):format(tls_dir and "https" or "http", shown, number) }
  if tls_dir then certificates(endpoint, tls_dir) end
  return endpoint
end

-- ssh://[USER@]HOST[:PORT][/SOCKET]
function readers.ssh(rest, host, source)
  local authority, socket = rest:match("^([^/]+)(/?.*)$")
  local user, where = (authority or ""):match("^(.-)@(.*)$")
  where = where or authority or ""
  local name, port = where:match("^%[([%x:.]+)%]:?(%d*)$")
  if not name then name, port = where:match("^([^:]+):?(%d*)$") end
  if not name then refuse(source, host, "expected ssh://USER@HOST:PORT") end
  if user and user:find(":", 1, true) then
    refuse(source, "ssh://…", "a password in it would be seen by everybody")
  end
  if name:sub(1, 1) == "-" or user and (user == "" or user:sub(1, 1) == "-") then
    refuse(source, host, "a host or user that begins with '-' would be an option of ssh")
  end
  if name:find("[%c%s]") or user and user:find("[%c%s]") then
    refuse(source, host, "it holds white space")
  end
  return { host = host, source = source, base = "http://docker", ssh = { user = user, host = name,
    port = port ~= "" and port or nil, socket = #socket > 1 and socket or "/var/run/docker.sock" } }
end

--- An endpoint of a text like DOCKER_HOST's; raises for one that cannot be used.
---@param host string
---@param source string for messages
---@param tls_dir? string the directory of ca.pem, cert.pem, key.pem: TLS is wanted
---@return orch.DockerEndpoint
local function parse(host, source, tls_dir)
  local scheme, rest = host:match("^(%a+)://(.*)$")
  if not scheme and host:match("^[%w._-]*:%d+$") then
    scheme, rest = "tcp", host:match("^:") and "localhost" .. host or host
  end
  local read = readers[scheme]
  if not read then
    refuse(source, host, "known are unix:///PATH, tcp://HOST:PORT and ssh://USER@HOST")
  end
  return read(rest, host, source, tls_dir)
end

-- Any text in DOCKER_TLS_VERIFY, also "0", means verify; and with DOCKER_TLS alone orch verifies as
-- well.
local function wanted_tls_dir(job)
  if not config.variable(job, "DOCKER_TLS_VERIFY") and not config.variable(job, "DOCKER_TLS") then
    return nil
  end
  return config.variable(job, "DOCKER_CERT_PATH") or config.dir(job)
end

local function sockets()
  local list = { "/var/run/docker.sock" }
  local runtime = os.getenv("XDG_RUNTIME_DIR")
  if runtime and runtime ~= "" then
    list[#list + 1] = runtime .. "/docker.sock"
    list[#list + 1] = runtime .. "/podman/podman.sock"
  end
  list[#list + 1] = "/run/podman/podman.sock"
  return list
end

--- Where the daemon may be, best first: one place that was named, or the sockets that are there.
---@param job? orch.Job
---@return orch.DockerEndpoint[] never empty
local function find(job)
  local host = config.variable(job, "DOCKER_HOST")
  if host then return { parse(host, "DOCKER_HOST", wanted_tls_dir(job)) } end
  local name, source = context.chosen(job)
  if name then
    local written = context.read(job, name, source)
    return { parse(written.host, ("docker context '%s'"):format(name), written.tls_dir) }
  end
  local looked, found = sockets(), {}
  for _, path in ipairs(looked) do
    if fs.stat(path) then found[#found + 1] = readers.unix(path, "unix://" .. path, path) end
  end
  if found[1] then return found end
  error(error_value.new { kind = "missing", op = "docker",
    message = "no docker socket: looked for " .. table.concat(looked, ", "),
    hint = "start the daemon, or set DOCKER_HOST=unix:///path/to/docker.sock" }, 0)
end

return { find = find, parse = parse, is_loopback = is_loopback }
