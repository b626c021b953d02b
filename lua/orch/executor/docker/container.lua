-- A job's container: found again, started again, or made, with its volumes and its network.
local answers = require "orch.executor.docker.answers"
local branches = require "orch.branches"
local error_value = require "orch.error"
local fs = require "orch.fs"
local image = require "orch.docker.image"
local json = require "orch.json"
local library = require "orch.library"
local options = require "orch.options"
local random = require "orch.random"
local service = require "orch.executor.docker.service"
local wire = require "orch.executor.docker.wire"

local DEFAULT_DIR <const> = "/work"
local ORPHAN_SECONDS <const> = 40
local UNITS <const> = { [""] = 1, k = 1 << 10, m = 1 << 20, g = 1 << 30 }

local resources = options.schema { cpus = "number?", memory = "string|integer?",
  shm = "string|integer?" }

-- --- what the container is to be -----------------------------------------------------------------

local function bytes(what, value)
  if value == nil or math.type(value) == "integer" then return value end
  local number, unit = tostring(value):lower():match("^(%d+%.?%d*)([kmg]?)b?$")
  if not number then
    options.usage("orch.docker: '%s' must be like \"512m\" or \"4g\", got '%s'", what, value)
  end
  return math.floor(tonumber(number) * UNITS[unit])
end

--- What a container may use, as the Engine wants it; raises for what cannot be read.
---@param given table option `resources`
local function limits(given)
  local wanted = resources:check("orch.docker: resources", given)
  return { NanoCpus = wanted.cpus and math.floor(wanted.cpus * 1e9) or nil,
    Memory = bytes("memory", wanted.memory), ShmSize = bytes("shm", wanted.shm) }
end

local function working_directory(world)
  local inspected = world.image
  local default = inspected.Config.WorkingDir
  if type(default) ~= "string" or default == "" or default == "/" then default = DEFAULT_DIR end
  local dir = fs.join(default, world.options.working_directory or ".")
  if dir == "/" then
    options.usage("orch.docker: option 'working_directory' leads to '/', which can be no volume")
  end
  return dir
end

local function volume_mounts(world)
  local mounts = json.array {
    { Type = "volume", Source = world.shim_volume.Name, Target = wire.DIR } }
  for path, volume in pairs(world.volumes) do
    mounts[#mounts + 1] = { Type = "volume", Source = volume.Name, Target = path }
  end
  table.sort(mounts, function(x, y) return x.Target < y.Target end)
  return mounts
end

-- The daemon's socket, at the path it has here, so that one DOCKER_HOST is right on both sides.
local function give_socket(world, host_config)
  local socket = world.connected.endpoint.unix
  local stat = socket and not world.connected.endpoint.ssh and fs.stat(socket)
  if not stat then
    error(error_value.new { kind = "usage", op = "docker",
      message =
        ("orch.docker: option 'docker' needs the socket of a daemon on this machine, not %s")
        :format(world.connected.endpoint.host) }, 0)
  end
  table.insert(host_config.Mounts, { Type = "bind", Source = socket, Target = socket })
  host_config.GroupAdd = json.array { tostring(stat.gid) }
end

local function description(world)
  local host_config = limits(world.options.resources)
  host_config.Init, host_config.Mounts = true, volume_mounts(world)
  host_config.NetworkMode = world.network
  if world.options.docker then give_socket(world, host_config) end
  return { Image = world.options.image, User = world.options.user,
    Entrypoint = json.array { wire.SHIM },
    Cmd = json.array { "hold" }, WorkingDir = world.dir, StopTimeout = 1,
    Labels = world.engine:labels("job"),
    Env = service.variables("orch.docker", world.options.environment),
    Healthcheck = { Test = json.array { "NONE" } },
    HostConfig = host_config }
end

-- --- what is there -------------------------------------------------------------------------------

-- That session was killed before it was complete, or as it was removed: the daemon goes on with
-- that.
local UNFIT <const> = { created = true, removing = true, dead = true }

-- The job's containers. An earlier attempt at the job began with a world of its own, which nobody
-- goes back to.
local function of_this_attempt(world)
  local mine, others = {}, {}
  for _, each in ipairs(world.engine:containers(world.engine:labels_of_job())) do
    local place = each.Labels["orch.place"]
    if place == world.engine.owner.place then
      mine[#mine + 1] = each
    else
      others[place] = true
    end
  end
  for place in pairs(others) do
    world.engine:remove_labelled(world.engine:labels_of_job(place))
  end
  return mine
end

local function forget(world) world.id, world.there, world.network = nil, {}, nil end

-- The network of the containers that are there, else one that is there, else a new one. Killed
-- sessions may have left more than one; names that are taken once only keep the Engine from mixing
-- them up.
local function find_network(job, world)
  local engine, known = world.engine, {}
  local networks = engine:networks(engine:labels_of_job())
  for _, each in ipairs(networks) do known[each.Name] = true end
  if world.network and not known[world.network] then
    job:log("the network of the job's containers is gone, and they with it")
    for _, id in pairs(world.there) do assert(engine:remove(id)) end
    forget(world)
  end
  world.network = world.network or networks[1] and networks[1].Name
  if world.network then return end
  world.network = engine:name(random.hex(4))
  engine:make_network(world.network)
end

-- What an earlier session of the run has left is no good without its files.
local function begin_anew(job, world)
  if not job.journal.resumed then return end
  if not job.journal:forget_job(job.name, "its container is gone", job:step_id()) then return end
  job.workspace:forget()
  job:log("the job's files are lost: it begins anew")
  world.engine:remove_labelled(world.engine:labels_of_job())
  forget(world)
end

local function find_volumes(job, world)
  local engine = world.engine
  local names = { [world.dir] = engine:name("work"), [world.tmp_volume] = engine:name("tmp") }
  local lost
  for path, name in pairs(names) do
    world.volumes[path] = engine:volume(name)
    lost = lost or not world.volumes[path]
  end
  if lost then
    begin_anew(job, world)
    for path, name in pairs(names) do world.volumes[path] = engine:make_volume(name) end
  elseif not world.id then
    job:log("the container is lost, its volumes are there: what steps have changed outside of %s and %s is gone",
      world.dir, world.tmp_volume)
  end
end

--- Fills in what an earlier session has left: id, there, network, and the container's image, which
--- its name may not mean any more.
local function look(world)
  world.volumes, world.there = {}, {}
  for _, each in ipairs(of_this_attempt(world)) do
    for _, name in ipairs(each.Names) do world.there[(name:gsub("^/", ""))] = each.Id end
    if #world.wanted > 0 then world.network = each.HostConfig.NetworkMode end
    if each.Labels["orch.role"] == "job" and not UNFIT[each.State] then
      world.image = image.look(world.engine.connected, each.ImageID)
    end
  end
  world.id = world.there[world.engine:name()]
end

--- Fills in the rest, of the image: dir, tmp_volume, volumes, network.
local function find(job, world)
  world.dir, world.tmp_volume = working_directory(world), fs.join("/", world.options.tmp)
  find_volumes(job, world)
  if #world.wanted > 0 then find_network(job, world) end
end

-- --- bringing it up ------------------------------------------------------------------------------

local function shim_file(path)
  return fs.write(path, assert(fs.read(library.shim())), { mode = tonumber("755", 8) })
end

-- As an archive, which the daemon unpacks: the image may have no program that could.
local function copy_shim(world)
  local dir = world.stage .. "/shim"
  assert(fs.make_dir(dir .. wire.DIR))
  assert(shim_file(dir .. wire.SHIM))
  assert(require "orch.tar".pack { root = dir, paths = { wire.DIR:sub(2) }, file = dir .. ".tar",
    compression = "none" })
  assert(world.engine.connected:request { op = "docker cp", method = "PUT",
    body_file = dir .. ".tar",
    path = ("/containers/%s/archive"):format(world.id), query = { path = "/" },
    headers = { ["Content-Type"] = "application/x-tar" } })
  assert(fs.remove(dir .. ".tar"))
end

-- The shim's volume, with it where a new one can be seen from here: an archive takes an old daemon
-- 60 ms, for which it starts a program of its own. No other place has a directory of that name, and
-- nobody has been in it; one of an earlier session may hold whatever its steps have left there.
---@return boolean there
local function fill_shim_volume(world)
  local engine, name = world.engine, world.engine:name("shim")
  world.shim_volume = engine:volume(name)
  if world.shim_volume then return false end
  world.shim_volume = engine:make_volume(name)
  local host = world.options.in_place and world.shim_volume.Mountpoint
  local names = host and fs.list(host)
  return names and #names == 0 and shim_file(host .. wire.SHIM:sub(#wire.DIR + 1)) or false
end

-- Steps of a session that was killed are ended, by TERM at first: what they still do must not be
-- done beside the same step of this session. Most have ended with their connection; where a daemon
-- was replaced under its containers (live-restore) none has.
local function end_orphans(world)
  local link <close> = assert(wire.open(world.connected, world.id, "end", "0"))
  local kind, payload = assert(branches.timeout(ORPHAN_SECONDS, function() return link:take() end))
  if kind ~= "k" then error(answers.failure(payload), 0) end
end

--- A running container: the one that is there, as it is or started again, or a new one.
local function bring_up(job, world)
  local engine = world.engine
  local state = world.id and engine:inspect(world.id)
  if state and UNFIT[state.State.Status] then
    engine:remove_wholly(world.id)
    state = nil
  end
  if state and world.network then engine:rejoin(world.id, world.network) end
  if state and state.State.Running then
    copy_shim(world) -- that session's may be of another version
    end_orphans(world)
    job:log("goes on in container %s", world.id:sub(1, 12))
    return
  end
  if state and engine:revive(world.id) then
    job:log("container %s had stopped, and is started again", world.id:sub(1, 12))
    return
  end
  local there = fill_shim_volume(world)
  world.id = engine:create(engine:name(), description(world))
  if not there then copy_shim(world) end
  assert(engine:start(world.id))
end

return { limits = limits, look = look, find = find, bring_up = bring_up,
  end_orphans = end_orphans }
