-- Services beside a job: containers on the job's own network, found by their names, waited for
-- until they are ready.
local branches = require "orch.branches"
local duration = require "orch.duration"
local error_value = require "orch.error"
local image = require "orch.docker.image"
local json = require "orch.json"
local options = require "orch.options"
local secret = require "orch.secret"
local task = require "orch.task"

local POLL <const> = 0.1           -- seconds
local SETTLE <const> = 0.5         -- how long one without any port must have run
local READY_SECONDS <const> = 60
local NANO <const> = 1000000000
local LOG_LINES <const> = 200
local ENDS <const> = { 10000, 200 } -- lines of a log that is too long to be had whole
local SHOWN_LINES <const> = 20

local schema = options.schema {
  image = "string",
  -- what the job calls it; default: the last word of the image's name
  name = "string?",
  environment = { "table", default = {} },
  command = "string|list?",
  entrypoint = "string|list?",
  user = "string?",
  -- a shell command; { "program", "argument" }; { port = 5432 }; false: do not wait
  health = "string|table|boolean?",
  timeout = { "string|number", default = READY_SECONDS },
  auth = "table?",                   -- as the executor's
}

local Services = {}
Services.__index = Services

local port_schema = options.schema { port = "integer" }

--- The name of a service that was given none: "postgres" for "docker.io/library/postgres:14".
local function default_name(reference)
  return reference:gsub("@.*$", ""):gsub(":[^:/]*$", ""):match("[^/]+$")
end

--- Checks the list of an executor's services.
---@param list table[]
---@return table[] services with names
local function check(list)
  local services, names = {}, {}
  for i, given in ipairs(list) do
    local service = schema:check("orch.docker: service", given)
    service.name = service.name or default_name(service.image)
    if not service.name:match("^[%w][%w.-]*$") then
      options.usage("orch.docker: '%s' is no name of a host (letters, digits, - and .): give the "
        .. "service another, name = …", service.name)
    end
    if names[service.name] then
      options.usage("orch.docker: two services are called '%s'", service.name)
    end
    names[service.name] = true
    if type(service.health) == "table" and not service.health[1] then
      service.health = port_schema:check("orch.docker: health", service.health)
    end
    service.seconds = duration.seconds("orch.docker: timeout", service.timeout)
    services[i] = service
  end
  return services
end

-- Side by side.
local function for_each(list, f)
  local calls = {}
  for _, service in ipairs(list) do
    calls[service.name] = function() f(service) end
  end
  branches.all(calls)
end

-- --- creating ------------------------------------------------------------------------------------

--- { "NAME=value" } as the Engine wants it. Whoever may ask the daemon can read it.
---@param what string for messages
---@param environment table<string, string|number>
local function variables(what, environment)
  local list = json.array {}
  for name, value in pairs(environment) do
    if secret.is(value) then
      options.usage("%s: the value of '%s' is a secret, which `docker inspect` would show; give it to the steps that "
        .. "need it: job:run { secrets = { \"%s\" } }", what, name, secret.name(value))
    end
    list[#list + 1] = ("%s=%s"):format(name, value)
  end
  table.sort(list)
  return list
end

local function words(value)
  if value == nil then return nil end
  return json.array(type(value) == "table" and table.move(value, 1, #value, 1, {})
    or { "/bin/sh", "-c", value })
end

-- Docker asks each 30 s by default: too seldom for who waits.
local function health_check(service, inspected)
  local test
  if type(service.health) == "string" then
    test = { "CMD-SHELL", service.health }
  elseif type(service.health) == "table" and service.health[1] then
    test = table.move(service.health, 1, #service.health, 2, { "CMD" })
  elseif service.health == nil and type(inspected.Config.Healthcheck) == "table" then
    test = inspected.Config.Healthcheck.Test
  end
  if type(test) ~= "table" or #test == 0 or test[1] == "NONE" then return nil end
  return { Test = json.array(test), Interval = NANO // 2, Timeout = 5 * NANO,
    Retries = math.ceil(service.seconds * 2) }
end

local function create(engine, service, network)
  local inspected = image.inspect(engine.connected, service.image)
  local check_of = health_check(service, inspected)
  local id = engine:create(engine:name(service.name), {
    Image = service.image, User = service.user,
    Env = variables("orch.docker: service " .. service.name, service.environment),
    Cmd = words(service.command), Entrypoint = words(service.entrypoint),
    Labels = engine:labels("service"), Healthcheck = check_of, Hostname = service.name,
    HostConfig = { NetworkMode = network, Init = true },
    NetworkingConfig =
      { EndpointsConfig = { [network] = { Aliases = json.array { service.name } } } },
  })
  assert(engine:start(id))
  return id
end

--- Starts the services that are not there yet.
---@param engine table
---@param list table[] of check
---@param network string
---@param there table<string, string> containers of an earlier session by name
---@param say fun(format: string, …) gets what the person is to know of them
local function start(engine, list, network, there, say)
  local self = setmetatable({ engine = engine, list = list, network = network, say = say, ids = {},
    over = {} }, Services)
  for_each(list, function(service)
    local id = there[engine:name(service.name)]
    local old = id and engine:revive(id) and id
    if old then engine:rejoin(old, network, service.name) end
    self.ids[service.name] = old or create(engine, service, network)
  end)
  return self
end

-- --- waiting -------------------------------------------------------------------------------------

-- Its address, of what the Engine says of it.
local function address_of(state, network)
  local end_point = state and state.NetworkSettings.Networks[network]
  return end_point and end_point.IPAddress ~= "" and end_point.IPAddress or nil
end

-- The port to ask: the one that was named, else the lowest that the image exposes.
local function port_of(service, state)
  if type(service.health) == "table" and service.health.port then return service.health.port end
  local lowest
  for name in pairs(type(state.Config.ExposedPorts) == "table" and state.Config.ExposedPorts
    or {}) do
    local port = math.tointeger(tonumber(name:match("^(%d+)/tcp$")))
    if port and (not lowest or port < lowest) then lowest = port end
  end
  return lowest
end

local function is_ready(service, state, network, probe, seconds)
  local health = type(state.State.Health) == "table" and state.State.Health.Status
  if health and health ~= "none" and health ~= "" then return health == "healthy" end
  local port = port_of(service, state)
  if not port then return seconds >= SETTLE end
  local address = address_of(state, network)
  return address ~= nil and probe(address, port)
end

local function last_lines(text, count)
  local lines = {}
  for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
  return table.concat(lines, "\n", math.max(1, #lines - count + 1))
end

-- How it ended; nil while it runs.
local function ending_of(state)
  if not state then return "was removed" end
  if state.State.Running then return nil end
  return ("ended with exit code %s%s"):format(state.State.ExitCode,
    state.State.OOMKilled and ", out of memory" or "")
end

local function say_last_lines(self, service)
  local said = last_lines(self.engine:logs(self.ids[service.name], LOG_LINES) or "", SHOWN_LINES)
  if said ~= "" then self.say("%s", said) end
end

-- What its health check said last, for who has waited in vain.
local function last_check(state)
  local health = type(state.State.Health) == "table" and state.State.Health
  local last = health and type(health.Log) == "table" and health.Log[#health.Log]
  if not last then return "" end
  local said = last_lines(tostring(last.Output), 1)
  return ("; its health check ends with exit code %s%s"):format(last.ExitCode,
    said ~= "" and ": " .. said or "")
end

local function fail(self, service, kind, format, ...)
  local message = ("service '%s' (%s) %s"):format(service.name, service.image, format:format(...))
  if kind == "failed" then self.over[service.name] = message end
  say_last_lines(self, service)
  error(error_value.new { kind = kind, op = "docker", message = message,
    hint = kind == "timeout"
      and "tell how it is known to be ready: health = { port = 5432 }, or a command; or give it "
      .. "longer: timeout = \"2m\"" or nil }, 0)
end

local function wait(self, service, probe)
  if service.health == false then return end
  local begun = task.clock()
  while true do
    local state = self.engine:inspect(self.ids[service.name])
    local ending = ending_of(state)
    if ending then fail(self, service, "failed", "%s before it was ready", ending) end
    if is_ready(service, state, self.network, probe, task.clock() - begun) then return end
    if task.clock() - begun > service.seconds then
      fail(self, service, "timeout", "was not ready within %g s%s", service.seconds, last_check(state))
    end
    task.sleep(POLL)
  end
end

--- Waits until all are ready; raises, with what it has printed said, when one ends or takes too
--- long.
---@param probe fun(address: string, port: integer): boolean
function Services:wait(probe)
  for_each(self.list, function(service)
    wait(self, service, probe)
    self.say("service %s is ready (%s)", service.name, service.image)
  end)
end

--- The address of one, as seen from the steps; nil when there is none of that name, or when it is
--- over.
---@param name string
---@return string?
function Services:address(name)
  local id = self.ids[name]
  return id and address_of(self.engine:inspect(id), self.network)
end

-- --- what becomes of them ------------------------------------------------------------------------

-- Says once how it ended, if it has.
local function look(self, service)
  if self.over[service.name] then return end
  local ending = ending_of(self.engine:inspect(self.ids[service.name]))
  if not ending then return end
  self.over[service.name] = ("service '%s' (%s) %s"):format(service.name, service.image, ending)
  self.say("%s; the last that it has printed:", self.over[service.name])
  say_last_lines(self, service)
end

--- Says at once when one ends while the steps go on; for a task of its own.
---@param service table of the list
function Services:watch(service)
  if self.engine:wait(self.ids[service.name]) then look(self, service) end
end

--- Says how those ended that have, if it has not been said; the first of them.
---@return string?
function Services:ended()
  local first
  for _, service in ipairs(self.list) do
    look(self, service)
    first = first or self.over[service.name]
  end
  return first
end

-- All that it has printed, or the end of it where that is too much.
local function log_of(self, id)
  local text, failure = self.engine:logs(id, "all")
  if text or failure.kind ~= "limit" then return text end
  for _, lines in ipairs(ENDS) do
    text = self.engine:logs(id, lines)
    if text then return ("(the last %d lines)\n%s"):format(lines, text) end
  end
end

--- Calls f with the name of each and what it has printed, if that can be had.
function Services:each_log(f)
  for _, service in ipairs(self.list) do
    local text = log_of(self, self.ids[service.name])
    if text then f(service.name, text) end
  end
end

return { check = check, start = start, variables = variables }
