-- The docker executor: the steps of a job run in a container of its own.
--
-- The container's main process only holds it open; steps come in by exec, below the shim, which is
-- on a volume, so that the image needs to have nothing but what the job itself calls. The working
-- directory and /tmp are volumes: should the container be lost, a resumed run goes on with another
-- one. All that is made is labelled with run and job.
local branches = require "orch.branches"
local container = require "orch.executor.docker.container"
local options = require "orch.options"
local relay = require "orch.executor.docker.relay"
local service = require "orch.executor.docker.service"
local worlds = require "orch.executor.docker.world"

local Docker = {}
Docker.__index = Docker

local schema = options.schema {
  image = "string",
  services = { "list", default = {} },       -- { { image, name, environment, command, health } }
  user = "string?",                          -- of the steps; default: the image's
  -- of all steps; no secrets, since `docker inspect` shows it
  environment = { "table", default = {} },
  resources = { "table", default = {} },     -- { cpus = 2, memory = "4g" }
  -- { username, password }; "$NAME" is the job's secret of that name
  auth = "table?",
  working_directory = "string?",             -- default: the image's, or /work
  -- a volume too, so that what lies there is not lost with the container
  tmp = { "string", default = "/tmp" },
  -- a local daemon's own socket in the container, from the start
  docker = { "boolean", default = false },
  pull = { "boolean", default = false },     -- ask the registry even if the image is here
  -- false: trees come and go as archives even where volumes can be seen
  in_place = { "boolean", default = true },
}

local CLOSE_SECONDS <const> = 60

--- Makes the container, or finds the one that an earlier session of the run has left.
---@param job orch.Job
---@return { dir: string, tmp: string, host_tmp: string, fs: table, proc: table, record: table }
function Docker:open(job)
  local world = worlds.new(job, self.options, self.services)
  self.worlds[job] = world
  worlds.build(job, world)
  return { dir = world.dir, tmp = world.tmp, host_tmp = world.stage, fs = world.files,
    proc = worlds.processes(job, world), record = world.record }
end

--- A docker endpoint for the steps: DOCKER_HOST as they see it.
---@param job orch.Job
---@return string
function Docker:docker_host(job)
  local world = self.worlds[job]
  if self.options.docker then return "unix://" .. world.connected.endpoint.unix end
  return relay.open(job, world)
end

--- The job is over.
---@param job orch.Job
---@param failure? table
function Docker:close(job, failure)
  local world = self.worlds[job]
  self.worlds[job] = nil
  if world then
    branches.cleanup(function() worlds.close(job, world, failure) end, CLOSE_SECONDS)
  end
end

---@param given table see the schema above
local function new(given)
  local checked = schema:check("orch.docker", given)
  service.variables("orch.docker", checked.environment)
  container.limits(checked.resources)
  if not checked.tmp:match("^/.") then
    options.usage("orch.docker: option 'tmp' must be an absolute path, got '%s'", checked.tmp)
  end
  return setmetatable({ kind = "docker", title = "container " .. checked.image, options = checked,
    services = service.check(checked.services), worlds = setmetatable({}, { __mode = "k" }) },
      Docker)
end

return { new = new }
