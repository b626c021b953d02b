-- A registry spoken to directly, for what the Engine API lacks, or podman's, or is slow at: another
-- tag without a pull, a manifest's digest, a login's check.
--
-- OCI distribution-spec 1.0 (pull, push of manifests); token flow: distribution.github.io,
-- spec/auth/token.
local credentials = require "orch.docker.credentials"
local endpoint = require "orch.docker.endpoint"
local error_value = require "orch.error"
local fault = require "orch.docker.fault"
local fs = require "orch.fs"
local hash = require "orch.hash"
local http = require "orch.http"
local json = require "orch.json"
local reference = require "orch.docker.reference"
local secret = require "orch.secret"

local OP <const> = "docker registry"
local MANIFEST_MAX <const> = 4 * 1024 * 1024 -- the ceiling that the specification recommends
local REDIRECTS <const> = 5 -- registry.k8s.io, for one, sends each region elsewhere
local GLANCE <const> = { connect = 2, all = 4, redirects = 0 }
local TYPES <const> = table.concat({
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
}, ", ")

local Registry = {}
Registry.__index = Registry

-- Where and how a registry is spoken to: plain http on loopback, elsewhere TLS with the authority
-- that dockerd would take.
---@param parsed { host: string, path?: string }
---@param limits? { connect: number, all: number, redirects: integer } of each request; seconds
local function new(job, parsed, credential, limits)
  local host = parsed.host == reference.HUB and "registry-1.docker.io" or parsed.host
  local path = parsed.path and reference.full_path(parsed.host, parsed.path)
  local plain = endpoint.is_loopback(host:match("^%[(.-)%]") or host:match("^[^:]+"))
  local ca = ("/etc/docker/certs.d/%s/ca.crt"):format(host)
  return setmetatable({ job = job, host = host, path = path, credential = credential,
    limits = limits or {},
    base = ("%s://%s/v2/"):format(plain and "http" or "https", host),
    ca_file = fs.stat(ca) and ca or nil }, Registry)
end

-- 'Bearer realm="…",service="…",scope="…"' as a table; nil for another scheme.
local function challenge(header)
  local words = header and header:match("^[Bb]earer%s+(.*)$")
  if not words then return nil end
  local fields = {}
  for name, value in words:gmatch('(%w+)="([^"]*)"') do fields[name:lower()] = value end
  return fields.realm and fields
end

local function escape(text)
  return (text:gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- A realm is where the registry sends us; our password goes there only under TLS, or on loopback.
local function has_tls(realm)
  local host = realm:match("^http://(%[[^%]]+%])") or realm:match("^http://([^/:]+)")
  return realm:find("^https://[%w.%[]") or host and endpoint.is_loopback((host:gsub("[%[%]]", "")))
end

local function basic_of(login)
  return login and login.password and { user = login.username, password = login.password } or nil
end

local function token(self, asked)
  if not has_tls(asked.realm) then
    return nil, error_value.new { kind = "auth", op = OP,
      message = ("%s wants the login sent to %s, which has no TLS"):format(self.host, asked.realm) }
  end
  local login = self.credential
  local service = escape(asked.service or "")
  local scope = asked.scope or self.path and ("repository:%s:pull,push"):format(self.path) or ""
  local reply, failure
  if login and login.identity_token then
    reply, failure = http.request { url = asked.realm, method = "POST", ca_file = self.ca_file,
      connect_timeout = self.limits.connect, timeout = self.limits.all,
      headers = { ["Content-Type"] = "application/x-www-form-urlencoded" },
      body =
        ("grant_type=refresh_token&client_id=orch&service=%s&scope=%s&refresh_token="):format(service,
        escape(scope)) .. login.identity_token }
  else
    reply, failure = http.request { ca_file = self.ca_file,
      connect_timeout = self.limits.connect, timeout = self.limits.all,
      url = ("%s%sservice=%s&scope=%s"):format(asked.realm,
        asked.realm:find("?", 1, true) and "&" or "?", service,
        escape(scope)),
      basic = basic_of(login) }
  end
  if not reply then return nil, failure end
  local answer = json.decode(reply.body)
  local text = reply.status == 200 and type(answer) == "table"
    and (answer.token or answer.access_token)
  if type(text) == "string" then return secret.new(text, "token of " .. self.host) end
  failure = fault.of(OP, self.host, ("HTTP status: %d from %s"):format(reply.status, asked.realm),
    tonumber(reply.headers["retry-after"]))
  return nil, credentials.blame(self.job, failure, login, self.host)
end

-- What makes the next request an authorised one; false when there is nothing (left) to try. A token
-- that was good before may have expired since: each request may have one made anew.
local function authorise(self, reply, tried)
  local login, asked = self.credential, challenge(reply.headers["www-authenticate"])
  if asked and not tried.token and not (login and login.registry_token) then
    tried.token = true
    local got, failure = token(self, asked)
    if not got then return nil, failure end
    self.bearer, self.basic = got, nil
    return true
  end
  if asked or self.basic then return false end
  self.basic = basic_of(login)
  return self.basic ~= nil
end

local function words_of(reply)
  local body = json.decode(reply.body)
  local first = type(body) == "table" and type(body.errors) == "table" and body.errors[1]
  if type(first) ~= "table" then return "" end
  return (": %s: %s"):format(tostring(first.code):lower():gsub("_", " "), fault.brief(tostring(first.message)))
end

-- A connection that broke and an answer cut short may pass; what is wrong with a certificate or a
-- redirect stays.
local function passes(failure)
  for _, words in ipairs { "TLS", "certificate", "redirects" } do
    if failure.message:find(words, 1, true) then return false end
  end
  return failure.kind == "net" or failure.kind == "remote"
end

local function hint_of(self, message)
  if message:find("no TLS", 1, true) then
    return "orch itself speaks without TLS only to a registry on loopback; docker_pull, image_tag and docker_push do the same"
  end
  return fault.tls_hint(message, self.host)
end

-- One request, with what the registry asks for; a manifest's by its label.
function Registry:ask(method, label, body, content_type)
  local url = self.base .. (label and ("%s/manifests/%s"):format(self.path, label) or "")
  if self.credential and self.credential.registry_token then
    self.bearer = self.credential.registry_token
  end
  local tried = {}
  while true do
    local reply, failure = http.request { url = url, method = method, body = body,
      basic = self.basic,
      connect_timeout = self.limits.connect, timeout = self.limits.all,
      ca_file = self.ca_file, body_max = MANIFEST_MAX,
      redirects = not body and (self.limits.redirects or REDIRECTS) or nil,
      headers = { Accept = TYPES, ["Content-Type"] = content_type,
        Authorization = self.bearer and "Bearer " .. self.bearer or nil } }
    if not reply then
      failure.passing, failure.hint = passes(failure),
        failure.hint or hint_of(self, failure.message)
      failure.message = ("%s: %s"):format(OP,
        failure.message:gsub("; if it is right, name its authority.*$", ""))
      return nil, failure
    end
    if reply.status < 300 then return reply end
    local more
    -- What it redirects to may want a login too; ours is not for that.
    local its_own = reply.url:sub(1, #self.base) == self.base
    if reply.status == 401 and its_own then more, failure = authorise(self, reply, tried) end
    if failure then return nil, failure end
    if not more then
      failure = fault.of(OP,
        label and ("%s/%s:%s"):format(self.host, self.path, label) or self.host,
        ("HTTP status: %d%s"):format(reply.status, words_of(reply)),
        tonumber(reply.headers["retry-after"]))
      return nil, credentials.blame(self.job, failure, self.credential, self.host)
    end
  end
end

--- The digest of an image in its registry, or nil.
---@param job orch.Job
---@param name string
---@param credential? orch.DockerCredential
---@return string?
local function digest(job, name, credential)
  local parsed = reference.parse(name)
  local self = new(job, parsed, credential)
  return fault.retrying(job, function()
    local reply, failure = self:ask("HEAD", parsed.digest or parsed.tag or "latest")
    if reply then return reply.headers["docker-content-digest"] or false end
    if failure.kind == "missing" then return false end
    return nil, failure
  end) or nil
end

--- A repository to be asked by `glance`, which keeps the login's token from one to the next. A
--- password goes along at once, to the host that it is for: ECR and others need no more.
---@param job orch.Job
---@param parsed { host: string, path: string }
---@param credential? orch.DockerCredential
---@return orch.Registry
local function repository(job, parsed, credential)
  local self = new(job, parsed, credential, GLANCE)
  self.basic = basic_of(credential)
  return self
end

--- What a tag is now, asked once, for a short time, and of nobody else.
---@param label string the tag
---@return { digest?: string, type?: string }? manifest
---@return table? err missing when there is no such tag
function Registry:glance(label)
  local reply, failure = self:ask("HEAD", label)
  if not reply then return nil, failure end
  return { digest = reply.headers["docker-content-digest"], type = reply.headers["content-type"] }
end

-- The digest of a manifest that came; an error when it is not what was asked for, or promised.
local function verified(reply, name, wanted)
  local came, promised = "sha256:" .. hash.sha256(reply.body),
    reply.headers["docker-content-digest"]
  for _, expected in ipairs { wanted or came, promised or came } do
    if came ~= expected then
      error(error_value.new { kind = "remote", op = OP,
        message = ("%s %s: the manifest that came is %s, not %s"):format(OP, name, came,
          expected) }, 0)
    end
  end
  return came
end

--- Gives an image in a registry other tags of the same repository; nothing is pulled.
---@param job orch.Job
---@param source string
---@param tags string[]
---@param credential? orch.DockerCredential
---@return string digest
local function retag(job, source, tags, credential)
  local parsed = reference.parse(source)
  local self = new(job, parsed, credential)
  local reply = fault.retrying(job, function()
    return self:ask("GET", parsed.digest or parsed.tag or "latest")
  end)
  local found = verified(reply, source, parsed.digest)
  for _, label in ipairs(tags) do
    fault.retrying(job, function()
      return self:ask("PUT", label, reply.body, reply.headers["content-type"])
    end)
  end
  return found
end

--- Raises unless the registry takes the login.
---@param job orch.Job
---@param credential orch.DockerCredential
local function check(job, credential)
  local self = new(job, { host = credential.registry }, credential)
  fault.retrying(job, function() return self:ask("GET") end)
end

return { digest = digest, repository = repository, retag = retag, check = check }
