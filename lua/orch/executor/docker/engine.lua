-- What the executor asks of the daemon: containers, networks, volumes, each with the labels by
-- which it is found again.
local branches = require "orch.branches"
local client = require "orch.docker.client"
local error_value = require "orch.error"
local json = require "orch.json"
local task = require "orch.task"

local GONE <const> = { [404] = true }
local THERE <const> = { [304] = true }
local REMOVE_SECONDS <const> = 20
local POLL <const> = 0.1

local Engine = {}
Engine.__index = Engine

--- For one job: owner is { project, run, number, job, place }.
local function new(connected, owner)
  return setmetatable({ connected = connected, owner = owner }, Engine)
end

--- The owner that a job's things are labelled with.
function Engine.owner_of(job)
  return { project = job.project.key, run = job.pipeline.id, number = job.pipeline.number,
    job = job.name, place = job.place }
end

local LABELS <const> = { project = "orch.project", run = "orch.run", number = "orch.number",
  job = "orch.job", place = "orch.place" }

function Engine:labels(role)
  local labels = { ["orch.role"] = role }
  for key, label in pairs(LABELS) do labels[label] = tostring(self.owner[key]) end
  return labels
end

--- What all things of the job are found by, or those of one attempt at it.
---@param place? string
function Engine:labels_of_job(place)
  return { [LABELS.run] = self.owner.run, [LABELS.job] = self.owner.job, [LABELS.place] = place }
end

--- A name that no other run of the machine has.
function Engine:name(suffix)
  local name = ("orch-%s-%s"):format(self.owner.run:sub(1, 8),
    self.owner.place:gsub("[^%w_.-]", "_"))
  return suffix and name .. "-" .. suffix or name
end

--- One call: the answer as a value (true when it is empty), or nil, err.
function Engine:call(op, method, path, spec)
  spec = spec or {}
  spec.op, spec.method, spec.path = op, method, path
  local reply, failure = self.connected:request(spec)
  if not reply then return nil, failure end
  if reply.body == "" or reply.status == 404 or reply.status == 304 then
    return true, reply.status
  end
  local value, broken = json.decode(reply.body)
  if value == nil then
    return nil,
      error_value.new { kind = "remote", op = op, message = ("%s: %s"):format(op, broken.message) }
  end
  return value
end

local function filter(labels)
  local list = json.array {}
  for name, value in pairs(labels) do list[#list + 1] = ("%s=%s"):format(name, value) end
  table.sort(list)
  return json.encode { label = list }
end

-- Those that have all of these labels: podman 4 lists volumes that have one of them.
local function labelled(list, labels)
  local found = {}
  for _, each in ipairs(type(list) == "table" and list or {}) do
    local all = type(each.Labels) == "table"
    for name, value in pairs(labels) do all = all and each.Labels[name] == value end
    if all then found[#found + 1] = each end
  end
  return found
end

--- Removes a container, and waits for one that is being removed already.
function Engine:remove_wholly(name)
  local deadline = task.clock() + REMOVE_SECONDS
  repeat
    self:remove(name)
    if not self:inspect(name) then return end
    task.sleep(POLL)
  until task.clock() > deadline
end

--- The containers with these labels, as the Engine lists them.
function Engine:containers(labels)
  return labelled(assert(self:call("docker ps", "GET", "/containers/json",
    { query = { all = true, filters = filter(labels) } })), labels)
end

--- What the Engine says of a container; nil when there is none of that name or id.
function Engine:inspect(name)
  local found, failure = self:call("docker inspect " .. name, "GET",
    ("/containers/%s/json"):format(name))
  if not found and failure.kind ~= "missing" then error(failure, 0) end
  return found
end

--- Its id. One of that name is what a killed session had asked for, which the Engine was late to
--- make.
function Engine:create(name, spec)
  local function once()
    return self:call("docker create " .. name, "POST", "/containers/create",
      { query = { name = name }, json = spec })
  end
  local made, failure = once()
  if not made and failure.kind == "conflict" then
    self:remove_wholly(name)
    made, failure = once()
  end
  return assert(made, failure).Id
end

function Engine:start(id)
  return self:call("docker start", "POST", ("/containers/%s/start"):format(id),
    { good = THERE, idle_timeout = 120 })
end

--- Waits until a container has ended, as long as the daemon is there.
---@return table? state, table? err
function Engine:wait(id)
  return self:call("docker wait", "POST", ("/containers/%s/wait"):format(id),
    { idle_timeout = 0, good = GONE })
end

--- Starts one that an earlier session has left. False: that session had begun to remove it, and now
--- it is gone.
function Engine:revive(id)
  local started, failure = self:start(id)
  if started then return true end
  if failure.kind ~= "missing" and not failure.message:find("marked for removal", 1, true) then
    error(failure, 0)
  end
  self:remove_wholly(id)
  return false
end

--- Joins a container to its network again, should somebody have disconnected it.
---@param alias? string the name that it has there
function Engine:rejoin(id, network, alias)
  local state = self:inspect(id)
  if not state or state.NetworkSettings.Networks[network] then return end
  assert(self:call("docker network connect", "POST", ("/networks/%s/connect"):format(network),
    { json = { Container = id, EndpointConfig = { Aliases = alias and json.array { alias } } } }))
end

function Engine:remove(id)
  return self:call("docker rm", "DELETE", "/containers/" .. id,
    { query = { force = true, v = true }, good = GONE, idle_timeout = 120 })
end

function Engine:volume(name)
  local found, failure = self:call("docker volume inspect", "GET", "/volumes/" .. name)
  if not found and failure.kind ~= "missing" then error(failure, 0) end
  return found
end

function Engine:make_volume(name)
  return assert(self:call("docker volume create", "POST", "/volumes/create",
    { json = { Name = name, Labels = self:labels "volume" } }))
end

--- The networks with these labels.
function Engine:networks(labels)
  return labelled(assert(self:call("docker network ls", "GET", "/networks",
    { query = { filters = filter(labels) } })), labels)
end

function Engine:make_network(name)
  return assert(self:call("docker network create", "POST", "/networks/create",
    { json = { Name = name, CheckDuplicate = true, Driver = "bridge",
      Labels = self:labels "network" } }))
end

local CLEAN_UP <const> = "docker clean-up"

-- Calls f of all these side by side: each takes the time of a program's end, or of a directory's.
local function each_of(list, f)
  local calls = {}
  for i, each in ipairs(list) do calls[tostring(i)] = function() f(each) end end
  branches.all(calls)
end

--- Removes the containers, networks and volumes with these labels.
---@param labels table<string, string>
---@return table? err of the first that could not be
function Engine:remove_labelled(labels)
  local failure
  local function checked(good, problem)
    if not good then failure = failure or problem end
    return good
  end
  local function list(path, key)
    local found = checked(self:call(CLEAN_UP, "GET", path,
      { query = { filters = filter(labels) } }))
    if type(found) ~= "table" then return {} end
    return labelled(key == nil and found or found[key], labels) -- null: there are none
  end
  local networks, volumes
  branches.all {
    containers = function()
      each_of(self:containers(labels), function(each) checked(self:remove(each.Id)) end)
    end,
    networks = function() networks = list "/networks" end,
    volumes = function() volumes = list("/volumes", "Volumes") end,
  }
  each_of(networks, function(each)
    checked(self:call(CLEAN_UP, "DELETE", "/networks/" .. each.Id, { good = GONE }))
  end)
  each_of(volumes, function(each)
    checked(self:call(CLEAN_UP, "DELETE", "/volumes/" .. each.Name, { good = GONE }))
  end)
  return failure
end

--- What a container printed to its log, at most so many lines.
function Engine:logs(id, lines)
  local reply, failure = self.connected:request { op = "docker logs",
    path = ("/containers/%s/logs"):format(id),
    query = { stdout = true, stderr = true, tail = lines } }
  if not reply then return nil, failure end
  local pieces, at = {}, 1
  while at + 7 <= #reply.body do
    local len = string.unpack(">I4", reply.body, at + 4)
    pieces[#pieces + 1] = reply.body:sub(at + 8, at + 7 + len)
    at = at + 8 + len
  end
  return table.concat(pieces)
end

--- For gc and discard: removes what a run has left, on the daemon that is found without a job.
---@param run string the run's id
---@return table? err
local function remove_run(run)
  return new(client.connect(), {}):remove_labelled { [LABELS.run] = run }
end

return { new = new, owner_of = Engine.owner_of, remove_run = remove_run }
