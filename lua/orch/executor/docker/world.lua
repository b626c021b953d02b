-- The world of one job: its container, services and volumes, and the shims in it; made, or found
-- again as an earlier session of the run has left it.
local attach = require "orch.executor.docker.attach"
local branches = require "orch.branches"
local child = require "orch.executor.docker.child"
local client = require "orch.docker.client"
local container = require "orch.executor.docker.container"
local engine_of = require "orch.executor.docker.engine"
local files = require "orch.executor.docker.files"
local fs = require "orch.fs"
local image = require "orch.docker.image"
local programs = require "orch.executor.programs"
local pull = require "orch.docker.pull"
local random = require "orch.random"
local reference = require "orch.docker.reference"
local service = require "orch.executor.docker.service"
local shims = require "orch.executor.docker.shims"
local trees = require "orch.executor.docker.trees"
local turn = require "orch.executor.docker.turn"

---@class orch.docker.World
---@field options table of orch.docker
---@field wanted table[] the services, as service.check has them
---@field stage string directory on this machine for what is on its way

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

-- --- opening -------------------------------------------------------------------------------------

-- What the job is to the client while its own world is not there yet.
local function before_world(job, tmp)
  local function background(_, f) return job.task:spawn(f) end -- it is needed until the very end
  return setmetatable({ tmp = tmp, host_tmp = tmp, background = background },
    { __index = function(_, key) return job[key] end })
end

-- The container and its services.
local function start(job, world)
  for _, each in ipairs(world.wanted) do
    need(job, world.connected, each.image, world.options.pull, each.auth)
  end
  branches.all {
    container = function() container.bring_up(job, world) end,
    services = function()
      if #world.wanted == 0 then return end
      world.services = service.start(world.engine, world.wanted, world.network, world.there,
        function(...) job:log(...) end)
    end,
  }
end

local ROOT <const> = { [""] = true, ["0"] = true, root = true }

-- Root's run the programs too. To start one takes its time.
local function start_shims(job, world)
  local user = world.options.user or world.image.Config.User or ""
  world.shims = shims.new(world, job.task, "0")
  world.root = files.server(world, world.shims)
  world.user = world.root
  if not ROOT[user] then
    world.user_shims = shims.new(world, job.task, world.options.user)
    world.user = files.server(world, world.user_shims)
  end
  branches.all {
    root = function() if world.user ~= world.root then world.root:identity() end end,
    user = function() world.identity = world.user:identity() end,
  }
  world.files = files.functions(world.user, world.dir)
end

local function wait_for_services(job, world)
  if not world.services then return end
  world.services:wait(function(address, port) return world.root:probe(address, port, 2) ~= nil end)
  for _, each in ipairs(world.wanted) do
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

local function tell(job, world)
  local name = world.options.image
  local digest = image.digest_of(world.image, name)
  world.record = { container = world.id, image = name, id = world.image.Id, digest = digest }
  job.bus:emit("container", { id = job:step_id(), job = job.name, container = world.id,
    image = name, image_id = world.image.Id, digest = digest })
  job:log("container %s of %s (%s), user %d", world.id:sub(1, 12), name,
    digest or world.image.Id, world.identity.uid)
end

--- Nothing of it is there yet.
---@return orch.docker.World
local function new(job, given, wanted)
  local stage = ("%s/jobs/%s/stage"):format(job.run_dir, job.place)
  assert(fs.make_dir(stage, tonumber("700", 8)))
  return { options = given, wanted = wanted, stage = stage, relay_turn = turn.new() }
end

--- Makes it, or what an earlier session has not left of it.
---@param job orch.Job
---@param world orch.docker.World
local function build(job, world)
  local options = world.options
  world.connected = client.connect(before_world(job, world.stage))
  world.engine = engine_of.new(world.connected, engine_of.owner_of(job))
  container.look(world)
  world.image = world.image
    or need(job, world.connected, options.image, options.pull, options.auth)
  container.find(job, world)
  start(job, world)
  start_shims(job, world)
  prepare(world)
  wait_for_services(job, world)
  trees.new { engine = world.engine, container = world.id, root = world.root,
    owner = world.identity, files = world.files, stage = world.stage,
    volumes = options.in_place and visible(world) or {} }:complete(world.files)
  tell(job, world)
end

--- What runs programs there: job.proc.
local function processes(job, world)
  return programs.new(job, { dir = world.dir, tmp = world.tmp,
    environment = world.identity.environment }, {
    start = function(spec) return child.start(world, spec) end,
    run = function(spec) return child.run(world, spec) end,
    attach = function(spec) return attach.attach(world, spec) end,
    has = function(path) return world.files.stat(path) ~= nil end,
    probe = function(host, port, seconds, words)
      local address = world.services and world.services:address(host) or host
      return world.user:probe(address == "localhost" and "127.0.0.1" or address, port, seconds,
        words)
    end,
  })
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

--- After a success nothing is left; otherwise all is kept, to be gone on with.
---@param job orch.Job
---@param world orch.docker.World
---@param failure? table
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
    job:log("container %s and its volumes are kept for `orch resume %d`; look into it with: orch shell %d %s",
      world.id:sub(1, 12), job.journal.number, job.journal.number, job.name)
  end
end

return { new = new, build = build, processes = processes, close = close }
