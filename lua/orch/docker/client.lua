-- The Engine API over its socket: version negotiation, requests, errors.
--
-- Docker Engine API, https://docs.docker.com/engine/api/ ; versions 1.41 to 1.55 are spoken.
local endpoint = require "orch.docker.endpoint"
local error_value = require "orch.error"
local json = require "orch.json"

local NEWEST <const> = { 1, 55 }
local OLDEST <const> = { 1, 41 }

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

--- The error that an answer with that status is.
function Client.error_of(op, reply_status, body)
  local decoded = json.decode(body or "")
  local message = type(decoded) == "table" and (decoded.message or decoded.cause) or body
  if not message or message == "" then message = "HTTP status " .. reply_status end
  return error_value.new { kind = KIND_OF_STATUS[reply_status] or "remote", op = op, status = reply_status,
    message = ("%s: %s"):format(op, (tostring(message):gsub("%s+$", ""))) }
end

local function negotiate(self)
  local reply, failure = http().request { url = "http://docker/_ping", method = "GET", unix = self.endpoint.unix,
    connect_timeout = 5, idle_timeout = 15 }
  if not reply then
    failure.message = ("docker at %s: %s"):format(self.endpoint.host, failure.message)
    failure.hint = failure.hint or "is the daemon running, and may this user open its socket?"
    error(failure, 0)
  end
  if reply.status ~= 200 then error(Client.error_of("docker ping", reply.status, reply.body), 0) end
  local theirs = parse_version(reply.headers["api-version"])
  if not theirs or older(theirs, OLDEST) then
    error(error_value.new { kind = "remote", op = "docker",
      message = ("docker at %s speaks API %s; %s or newer is needed"):format(self.endpoint.host,
        reply.headers["api-version"] or "of unknown version", shown(OLDEST)) }, 0)
  end
  self.api = shown(older(NEWEST, theirs) and NEWEST or theirs)
  self.server = reply.headers["server"]
  self.podman = reply.headers["libpod-api-version"] ~= nil
  return self
end

--- Finds the daemon and agrees on a version with it.
local function connect()
  return negotiate(setmetatable({ endpoint = endpoint.find() }, Client))
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

--- One request. spec: { op, method, path, query, headers, body, body_fd, json, stream, idle_timeout, good }.
--- A status outside 2xx is an error unless spec.good lists it.
---@return table? reply, table? err
function Client:request(spec)
  local headers = spec.headers or {}
  local body = spec.body
  if spec.json ~= nil then
    body = json.encode(spec.json)
    headers["Content-Type"] = "application/json"
  end
  local reply, failure = http().request {
    url = ("http://docker/v%s%s%s"):format(self.api, spec.path, query_string(spec.query)),
    method = spec.method or "GET",
    unix = self.endpoint.unix,
    headers = headers,
    body = body,
    body_fd = spec.body_fd,
    stream = spec.stream,
    idle_timeout = spec.idle_timeout or 60,
  }
  if not reply then
    failure.message = ("%s: %s"):format(spec.op, failure.message)
    return nil, failure
  end
  if reply.status >= 200 and reply.status < 300 or spec.good and spec.good[reply.status] then return reply end
  local text = reply.body
  if spec.stream then
    local pieces = {}
    for piece in reply.read, reply do pieces[#pieces + 1] = piece end
    text = table.concat(pieces)
  end
  return nil, Client.error_of(spec.op, reply.status, text)
end

local LINE_MAX <const> = 16 * 1024 * 1024

--- Iterates over the JSON lines of a streamed reply; raises on a broken stream or line.
function Client.lines(op, reply)
  local held = ""
  return function()
    while true do
      local stop = held:find("\n", 1, true)
      if stop then
        local line = held:sub(1, stop - 1)
        held = held:sub(stop + 1)
        if line:find("%S") then return assert(json.decode(line)) end
      else
        local piece, failure = reply:read()
        if failure then
          failure.message = ("%s: %s"):format(op, failure.message)
          error(failure, 0)
        end
        if not piece then
          if held:find("%S") then
            local last = held
            held = ""
            return assert(json.decode(last))
          end
          return nil
        end
        held = held .. piece
        if #held > LINE_MAX then
          error(error_value.new { kind = "limit", op = op, message = op .. ": the daemon sent an endless line" }, 0)
        end
      end
    end
  end
end

return { connect = connect, escape = escape, error_of = Client.error_of }
