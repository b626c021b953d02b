-- The docker executor: the steps of a job run in a container of its own.
--
-- The container's main process only holds it open; steps come in by exec, below the shim, which is
-- on a volume, so that the image needs to have nothing but what the job itself calls. The working
-- directory and /tmp are volumes: should the container be lost, a resumed run goes on with another
-- one. All that is made is labelled with run and job.
local branches = require "orch.branches"
local child = require "orch.executor.docker.child"
local client = require "orch.docker.client"
local container = require "orch.executor.docker.container"
local engine_of = require "orch.executor.docker.engine"
local environments = require "orch.environment"
local files = require "orch.executor.docker.files"
local fs = require "orch.fs"
local image = require "orch.docker.image"
local options = require "orch.options"
local pull = require "orch.docker.pull"
local random = require "orch.random"
local reference = require "orch.docker.reference"
local relay = require "orch.executor.docker.relay"
local service = require "orch.executor.docker.service"
local shims = require "orch.executor.docker.shims"
local trees = require "orch.executor.docker.trees"
local turn = require "orch.executor.docker.turn"

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

local WAIT_SECONDS <const> = 60

-- --- the image -----------------------------------------------------------------------------------

-- "$NAME" is a secret that the job declares, so that no recipe needs to hold one.
local function login(job, auth, name)
  if not auth then return nil end
  local known = { registry = reference.parse(name).host }
  for key, value in pairs(auth) do
    local of = type(value) == "string" and value:match("^%$([%a_][%w_]*)$")
    known[key] = of and job.secrets[of] or value
  end
  return known
end

local function need(job, connected, name, again, auth)
  local there = not again and image.look(connected, name)
  if there then return there end
  pull.pull(job, { images = { name }, auth = login(job, auth, name) })
  return image.inspect(connected, name)
end

-- --- processes -----------------------------------------------------------------------------------

local function processes(job, world)
  local base = {}
  for name, value in pairs(world.identity.environment) do base[name] = value end
  base.TMPDIR, base.ORCH, base.CI = world.tmp, "true", "true"
  local function prepared(spec)
    local environment = {}
    for _, layer in ipairs { base, job.env, spec.env or {} } do
      for name, value in pairs(layer) do environment[name] = value end
    end
    local copy = {}
    for key, value in pairs(spec) do copy[key] = value end
    copy.env, copy.cwd = environment,
      fs.join(world.dir, environments.at_home(spec.cwd or ".", environment))
    environment.PWD = copy.cwd
    return copy
  end
  local self = {}
  --- As proc.start, in the container's working directory.
  function self.start(spec) return child.start(world, prepared(spec)) end
  --- As proc.run, likewise.
  function self.run(spec) return child.run(world, prepared(spec)) end
  --- Is a program there, by its path?
  function self.has(path) return world.files.stat(path) ~= nil end
  --- Does something listen, as seen from the steps? What it says to some words, if there are any.
  function self.probe(host, port, seconds, words)
    local address = world.services and world.services:address(host) or host
    return world.user:probe(address == "localhost" and "127.0.0.1" or address, port, seconds, words)
  end
  return self
end

-- --- opening -------------------------------------------------------------------------------------

-- What the job is to the client while its own world is not there yet.
local function before_world(job, tmp)
  local function background(_, f) return job.task:spawn(f) end -- it is needed until the very end
  return setmetatable({ tmp = tmp, host_tmp = tmp, background = background },
    { __index = function(_, key) return job[key] end })
end

-- The container and its services.
local function start(self, job, world)
  for _, each in ipairs(self.services) do
    need(job, world.connected, each.image, self.options.pull, each.auth)
  end
  branches.all {
    container = function() container.bring_up(self, job, world) end,
    services = function()
      if #self.services == 0 then return end
      world.services = service.start(world.engine, self.services, world.network, world.there,
        function(...) job:log(...) end)
    end,
  }
end

local ROOT <const> = { [""] = true, ["0"] = true, root = true }

-- Root's run the programs too. To start one takes its time.
local function start_shims(self, job, world)
  local user = self.options.user or world.image.Config.User or ""
  world.shims = shims.new(world, job.task, "0")
  world.root = files.server(world, world.shims)
  world.user = world.root
  if not ROOT[user] then
    world.user_shims = shims.new(world, job.task, self.options.user)
    world.user = files.server(world, world.user_shims)
  end
  branches.all {
    root = function() if world.user ~= world.root then world.root:identity() end end,
    user = function() world.identity = world.user:identity() end,
  }
  world.files = files.functions(world.user, world.dir)
end

local function wait_for_services(self, job, world)
  if not world.services then return end
  world.services:wait(function(address, port) return world.root:probe(address, port, 2) ~= nil end)
  for _, each in ipairs(self.services) do
    job:background(function() world.services:watch(each) end)
  end
end

-- Volumes begin as root's where the image has no such directory.
local function prepare(world)
  local root, owner = world.root, world.identity
  local stat = assert(files.functions(root, "/").stat(world.dir))
  if owner.uid ~= 0 and stat.uid == 0 then assert(root:own({ world.dir }, owner)) end
  assert(root:own({ world.tmp_volume }, { uid = 0, gid = 0 }, false, tonumber("1777", 8)))
  world.tmp = fs.join(world.tmp_volume, "orch")
  assert(world.files.make_dir(world.tmp, tonumber("700", 8)))
end

-- Can its volumes be seen from here? Only a mark tells: the daemon may be in another machine, mount
-- namespace or behind a forwarded socket, and what is at the path that it names may be something
-- else.
local function visible(world)
  local mark = random.hex(12)
  local found, as_root = {}, files.functions(world.root, "/")
  for path, volume in pairs(world.volumes) do
    local host = fs.real_path(volume.Mountpoint)
    local inside = path .. "/.orch-" .. mark
    if host then
      assert(as_root.write(inside, mark))
      if fs.read(host .. "/.orch-" .. mark) == mark then
        found[#found + 1] = { path = path, host = host }
      end
      assert(as_root.remove(inside))
    end
  end
  return found
end

local function tell(self, job, world)
  local digest = image.digest_of(world.image,
    self.options.image:gsub("@.*$", ""):gsub(":[^:/]*$", ""))
  world.record = { container = world.id, image = self.options.image, id = world.image.Id,
    digest = digest }
  job.bus:emit("container",
    { id = job:step_id(), job = job.name, container = world.id, image = self.options.image,
    image_id = world.image.Id, digest = digest })
  job:log("container %s of %s (%s), user %d", world.id:sub(1, 12), self.options.image,
    digest or world.image.Id, world.identity.uid)
end

local function build(self, job, world)
  world.connected = client.connect(before_world(job, world.stage))
  world.engine = engine_of.new(world.connected, engine_of.owner_of(job))
  world.image = need(job, world.connected, self.options.image, self.options.pull, self.options.auth)
  container.find(self, job, world)
  start(self, job, world)
  start_shims(self, job, world)
  prepare(world)
  wait_for_services(self, job, world)
  trees.new { engine = world.engine, container = world.id, root = world.root,
    owner = world.identity, files = world.files, stage = world.stage,
    volumes = self.options.in_place and visible(world) or {} }:complete(world.files)
  tell(self, job, world)
end

--- Makes the container, or finds the one that an earlier session of the run has left.
---@param job orch.Job
---@return { dir: string, tmp: string, host_tmp: string, fs: table, proc: table, record: table }
function Docker:open(job)
  local stage = ("%s/jobs/%s/stage"):format(job.run_dir, job.place)
  assert(fs.make_dir(stage, tonumber("700", 8)))
  local world = { stage = stage, relay_turn = turn.new() }
  self.worlds[job] = world
  build(self, job, world)
  return { dir = world.dir, tmp = world.tmp, host_tmp = stage, fs = world.files,
    proc = processes(job, world), record = world.record }
end

--- A docker endpoint for the steps: DOCKER_HOST as they see it.
---@param job orch.Job
---@return string
function Docker:docker_host(job)
  local world = self.worlds[job]
  if self.options.docker then return "unix://" .. world.connected.endpoint.unix end
  return relay.open(job, world)
end

-- --- closing -------------------------------------------------------------------------------------

local function keep_logs(job, services)
  services:each_log(function(service_name, text)
    local name = ("logs/%s-%s.log"):format(job.place, service_name)
    assert(fs.make_dir(job.run_dir .. "/logs"))
    assert(fs.write(job.run_dir .. "/" .. name, job.bus.masker:apply(text)))
    job:log("what service %s has printed is in %s/%s", service_name, job.run_dir, name)
  end)
end

-- A step that failed may have done so because a service had; a daemon that is lost has been told
-- of.
local function tell_services(job, services, failure)
  local good, ended = pcall(services.ended, services)
  if not failure then return end
  local news = good and ended and not failure.message:find(ended, 1, true)
  if news and failure.kind ~= "cancelled" then
    failure.message = ("%s; %s"):format(failure.message, ended)
  end
  keep_logs(job, services)
end

local function close(job, world, failure)
  -- Copies, and the socket by which a daemon is reached over ssh.
  local _ <close> = setmetatable({}, { __close = function() fs.remove(world.stage) end })
  for _, each in ipairs { world.shims or false, world.user_shims or false } do
    if each then each:close() end
  end
  if not world.engine then return end
  if world.services then tell_services(job, world.services, failure) end
  if not failure then
    local problem = world.engine:remove_labelled(world.engine:labels_of_job())
    if problem then job:log("not all of the container could be removed: %s", problem.message) end
    return
  end
  if world.id then
    job:log("container %s and its volumes are kept for `orch resume %d`; look into it with: docker exec -it %s sh",
      world.id:sub(1, 12), job.journal.number, world.id:sub(1, 12))
  end
end

--- The job is over: after a success nothing is left; otherwise all is kept, to be gone on with.
---@param job orch.Job
---@param failure? table
function Docker:close(job, failure)
  local world = self.worlds[job]
  self.worlds[job] = nil
  if world then branches.cleanup(function() close(job, world, failure) end, WAIT_SECONDS) end
end

---@param given table see the schema above
local function new(given)
  local checked = schema:check("orch.docker", given)
  service.variables("orch.docker", checked.environment)
  for _, key in ipairs { "working_directory", "tmp" } do
    if key == "tmp" and not checked.tmp:match("^/.") then
      options.usage("orch.docker: option 'tmp' must be an absolute path, got '%s'", checked.tmp)
    end
  end
  return setmetatable({ kind = "docker", title = "container " .. checked.image, options = checked,
    services = service.check(checked.services), worlds = setmetatable({}, { __mode = "k" }) },
      Docker)
end

return { new = new }
