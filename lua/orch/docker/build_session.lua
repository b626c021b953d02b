-- What a build asks for while it runs, as options of a session: directories, secrets, agents,
-- logins.
local build_logins = require "orch.docker.build_logins"
local error_value = require "orch.error"
local fs = require "orch.fs"
local hash = require "orch.hash"
local secret = require "orch.secret"

local SECRET_MAX <const> = 500 * 1024

local function usage(format, ...)
  error(error_value.new { kind = "usage", op = "docker build", message = format:format(...) }, 0)
end

-- { id = secret | { file = path } }; a plain string would stand in the run's record.
local function read_secrets(job, given)
  local secrets = {}
  for id, value in pairs(given) do
    if type(value) == "table" and type(value.file) == "string" then
      local bytes, failure = job.fs.read(value.file, SECRET_MAX)
      if not bytes then
        failure.message = ("docker_build: secret '%s': %s"):format(id, failure.message)
        error(failure, 0)
      end
      secrets[id] = secret.new(bytes, id)
      job:mask(secrets[id])
    elseif secret.is(value) then
      secrets[id] = value
    else
      usage("docker_build: secret '%s' must be a secret (job.secrets.NAME) or { file = path }, got %s", tostring(id),
        type(value))
    end
  end
  return secrets
end

-- Else the build would fail of it, far in, in the words of whatever wanted the agent.
local function check_agent(id, path, found)
  if not found then
    error(error_value.new { kind = "missing", op = "docker build",
      message = ("docker_build: option 'ssh': no socket %s for the agent '%s'"):format(path, id),
      hint = "is the agent running?" }, 0)
  elseif found.type == "file" or found.type == "directory" then
    usage("docker_build: option 'ssh': %s is no agent's socket but a %s; `ssh-add KEY` gives a key to an agent",
      path, found.type)
  end
end

-- true: the agent of $SSH_AUTH_SOCK; a path; or { id = path }.
local function read_agents(job, given)
  if given == nil or given == false then return nil end
  local agents = type(given) == "table" and given or { default = given }
  local sockets = {}
  for id, value in pairs(agents) do
    local own = value == true and os.getenv("SSH_AUTH_SOCK")
    local path = own or value
    if type(path) ~= "string" or path == "" then
      usage("docker_build: option 'ssh': no agent '%s': start one (SSH_AUTH_SOCK), or give a socket's path", id)
    end
    check_agent(id, path, (own and fs or job.fs).stat(path))
    sockets[id] = own or job.fs.seen(path)
  end
  return sockets
end

-- The same for each build of this directory by this job, whatever the run, so that the daemon asks
-- for what changed.
local function shared_key(job, context, dockerfile)
  local home = job.project and job.project.dir or job.dir
  return hash.sha256(table.concat({ home, job.name, context.key,
    dockerfile.outside and dockerfile.dir or "" }, "\0"))
end

--- The session's options for a build; output is a file.
---@param build table of docker.build
---@param output? string
local function options(build, output)
  local job, spec, context, dockerfile = build.job, build.spec, build.context, build.dockerfile
  return {
    dirs = { context = context.files.seen(context.dir), dockerfile = dockerfile.dir and
      (dockerfile.outside and job.fs or context.files).seen(dockerfile.dir) },
    dockerfile_text = dockerfile.inline and dockerfile.text or nil,
    secrets = read_secrets(job, spec.secrets),
    ssh = read_agents(job, spec.ssh),
    credentials = build_logins.for_session(build.logins),
    shared_key = shared_key(job, context, dockerfile),
    output = output,
  }
end

return { options = options }
