-- The Engine API over its socket: version negotiation, requests, errors.
--
-- Docker Engine API, https://docs.docker.com/engine/api/ ; versions 1.41 to 1.55 are spoken.
local config = require "orch.docker.config"
local endpoint = require "orch.docker.endpoint"
local error_value = require "orch.error"
local fault = require "orch.docker.fault"
local fs = require "orch.fs"
local daemon_lines = require "orch.docker.lines"
local json = require "orch.json"
local ssh = require "orch.docker.ssh"
local task = require "orch.task"
local unreachable = require "orch.docker.unreachable"

local NEWEST <const> = { 1, 55 }
local OLDEST <const> = { 1, 41 }

local WORDS_MAX <const> = 500 -- of an answer that is no JSON
local REFUSAL_MAX <const> = 1024 * 1024
local FILE_MAX <const> = 64 << 30 -- of an answer that is written to a file

local Client = {}
Client.__index = Client

local function http() return require "orch.http" end

local function parse_version(text)
  local major, minor = (text or ""):match("^(%d+)%.(%d+)$")
  return major and { tonumber(major), tonumber(minor) }
end

local function older(a, b) return a[1] < b[1] or a[1] == b[1] and a[2] < b[2] end

local function shown(version) return ("%d.%d"):format(version[1], version[2]) end

local KIND_OF_STATUS <const> = { [400] = "usage", [401] = "auth", [403] = "auth", [404] = "missing",
  [409] = "conflict" }

-- The error that an answer with that status is.
local function error_of(op, reply_status, body)
  local decoded = json.decode(body or "")
  local message = type(decoded) == "table" and (decoded.message or decoded.cause) or body
  message = tostring(message or ""):gsub("%s+$", "")
  -- a proxy's page
  if type(decoded) ~= "table" then message = (message:match("%S[^\n]*") or ""):sub(1, WORDS_MAX) end
  if message == "" then message = "HTTP status " .. reply_status end
  return error_value.new { kind = KIND_OF_STATUS[reply_status] or "remote", op = op,
    status = reply_status, hint = fault.hint_of(message),
    message = ("%s: %s"):format(op, fault.brief(message)) }
end

-- One request, with what tells how the daemon is reached.
local function ask(self, spec)
  local place = self.endpoint
  spec.url = place.base .. spec.url
  spec.unix, spec.ca_file, spec.cert_file, spec.key_file = place.unix, place.ca_file,
    place.cert_file, place.key_file
  return http().request(spec)
end

local function refuse(self, kind, format, ...)
  error(error_value.new { kind = kind, op = "docker",
    message = ("docker at %s %s"):format(self.endpoint.host, format:format(...)) }, 0)
end

-- A daemon newer than we are still speaks our version, unless it says that it has given it up.
local function check_newer(self, theirs)
  local reply = ask(self, { url = "/version", connect_timeout = 5, idle_timeout = 15 })
  local told = reply and reply.status == 200 and json.decode(reply.body)
  local oldest = type(told) == "table" and parse_version(told.MinAPIVersion)
  if oldest and older(NEWEST, oldest) then
    refuse(self, "remote", "speaks API %s to %s, and this orch %s to %s: a newer orch is needed",
      shown(oldest),
      shown(theirs), shown(OLDEST), shown(NEWEST))
  end
end

-- DOCKER_API_VERSION is taken as it is, but only where both sides can keep it.
local function pinned(self, theirs)
  local text = config.variable(self.job, "DOCKER_API_VERSION")
  if not text then return nil end
  local wanted = parse_version((tostring(text):gsub("^v", "")))
  if not wanted or older(wanted, OLDEST) or older(NEWEST, wanted) then
    error(error_value.new { kind = "usage", op = "docker",
      message = ("DOCKER_API_VERSION is '%s'; this orch speaks %s to %s"):format(text,
        shown(OLDEST),
        shown(NEWEST)) }, 0)
  end
  if older(theirs, wanted) then
    refuse(self, "usage", "speaks API %s at most; DOCKER_API_VERSION asks for %s", shown(theirs),
      shown(wanted))
  end
  return wanted
end

local function agree(self, headers)
  local theirs = parse_version(headers["api-version"])
  if not theirs then
    refuse(self, "remote", "does not say which API it speaks; is it a docker daemon?")
  end
  if older(theirs, OLDEST) then
    refuse(self, "remote", "speaks API %s; %s (Docker 20.10) or newer is needed", shown(theirs),
      shown(OLDEST))
  end
  local wanted = pinned(self, theirs)
  if not wanted and older(NEWEST, theirs) then check_newer(self, theirs) end
  self.api = shown(wanted or (older(NEWEST, theirs) and NEWEST or theirs))
  self.server = headers["server"]
  self.builder = headers["builder-version"] ~= "" and headers["builder-version"] or nil
  self.podman = headers["libpod-api-version"] ~= nil
end

--- Asks the daemon what it speaks; nil, err when it cannot be reached.
local function negotiate(self)
  local reply, failure = ask(self, { url = "/_ping", connect_timeout = 5, idle_timeout = 15 })
  if reply and reply.status ~= 200 then
    failure = error_of("HTTP status " .. reply.status, reply.status, reply.body)
  end
  if failure then return nil, unreachable.explain(self.endpoint, failure) end
  agree(self, reply.headers)
  return self
end

-- The first of the places that answers; what was wrong with the first one otherwise.
local function dial(job)
  local first
  for _, place in ipairs(endpoint.find(job)) do
    local self = setmetatable({ endpoint = place, job = job }, Client)
    if place.ssh then
      if not job then refuse(self, "usage", "needs a job, which its ssh belongs to") end
      place.unix = ssh.open(job, place.ssh)
    end
    local agreed, failure = negotiate(self)
    if agreed then return agreed end
    first = first or failure
  end
  error(first, 0)
end

local of_job = setmetatable({}, { __mode = "k" })

--- Finds the daemon and agrees on a version with it, once a job.
---@param job? orch.Job without one nothing is kept, and ssh:// is not possible
local function connect(job)
  if not job then return dial(nil) end
  local entry = of_job[job]
  if not entry then
    entry = { waiting = {} }
    of_job[job] = entry
  end
  while entry.dialling do
    table.insert(entry.waiting, task.current())
    task.park()
  end
  if entry.client then return entry.client end
  local _ <close> = setmetatable({}, { __close = function()
    entry.dialling = false
    local waiting = entry.waiting
    entry.waiting = {}
    for _, each in ipairs(waiting) do each:unpark() end
  end })
  entry.dialling = true
  entry.client = dial(job)
  return entry.client
end

-- Unreserved characters of RFC 3986 stay.
local function escape(text)
  return (tostring(text):gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- { t = { "a", "b" }, q = true, labels = { … } }: lists repeat the key, booleans are 1.
local function query_string(query)
  local names, parts = {}, {}
  for name in pairs(query or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = query[name]
    for _, each in ipairs(type(value) == "table" and value or { value }) do
      if each == true then each = 1 end
      if each ~= false then parts[#parts + 1] = name .. "=" .. escape(each) end
    end
  end
  return #parts > 0 and "?" .. table.concat(parts, "&") or ""
end

--- podman's option for a registry of that host: dockerd takes plain http and any certificate from
--- one on loopback, podman has to be told.
---@return string?
function Client:tls_verify(registry)
  local name = registry:match("^%[(.-)%]") or registry:match("^[^:]+")
  return self.podman and endpoint.is_loopback(name) and "false" or nil
end

--- Where the daemon is, as http.stream and http.upgrade want it.
---@return table peer a new table
function Client:peer()
  local place = self.endpoint.place or {}
  return { unix = self.endpoint.unix, host = place.host, port = place.port, tls = place.tls,
    ca_file = self.endpoint.ca_file, cert_file = self.endpoint.cert_file,
    key_file = self.endpoint.key_file }
end

-- The words of a refusal that is streamed.
local function refusal_in(reply)
  local _ <close> = reply
  local text = ""
  for piece in reply.read, reply do
    text = text .. piece
    if #text > REFUSAL_MAX then break end
  end
  return text
end

-- A socket that is gone is no answer that something is missing; one that ssh forwards says nothing
-- to a person.
local function unanswered(self, op, failure)
  local socket, host = self.endpoint.unix, self.endpoint.host
  if failure.kind == "missing" and socket and not fs.stat(socket) then failure.kind = "net" end
  if self.endpoint.ssh then
    failure.message = failure.message:gsub(socket:gsub("%p", "%%%0"), function() return host end)
  end
  failure.message = ("%s: %s"):format(op, failure.message)
  if failure.kind == "net" then failure.hint = failure.hint or daemon_lines.LOST end
  return failure
end

--- One request. spec: { op, method, path, query, headers, body, body_fd, body_file, json, stream,
--- file, body_max, idle_timeout, good }. A status outside 2xx is an error unless spec.good lists
--- it.
---@return table? reply, table? err
function Client:request(spec)
  local headers = spec.headers or {}
  local body = spec.body
  if spec.json ~= nil then
    body = json.encode(spec.json, { open_secrets = true })
    headers["Content-Type"] = "application/json"
  end
  local reply, failure = ask(self, {
    url = ("/v%s%s%s"):format(self.api, spec.path, query_string(spec.query)),
    method = spec.method or "GET",
    headers = headers,
    body = body,
    body_fd = spec.body_fd,
    body_file = spec.body_file,
    body_max = spec.body_max or spec.file and FILE_MAX or nil,
    stream = spec.stream,
    file = spec.file,
    idle_timeout = spec.idle_timeout or 60,
  })
  if not reply then return nil, unanswered(self, spec.op, failure) end
  if reply.status >= 200 and reply.status < 300 or spec.good and spec.good[reply.status] then
    return reply
  end
  local text = spec.stream and refusal_in(reply) or reply.body
  return nil, error_of(spec.op, reply.status, text)
end

return { connect = connect, escape = escape }
