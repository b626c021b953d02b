-- Pushes images by name: each tag on its own, so that what was not asked for never leaves the
-- machine.
local client = require "orch.docker.client"
local credentials = require "orch.docker.credentials"
local error_value = require "orch.error"
local fault = require "orch.docker.fault"
local image = require "orch.docker.image"
local pushed = require "orch.docker.pushed"
local reference = require "orch.docker.reference"
local transfer = require "orch.docker.transfer"

local OP <const> = "docker push"

-- The digest that a line proves; old podman has no aux.
local function digest_in(line)
  return type(line.aux) == "table" and line.aux.Digest
    or (line.status or ""):match("digest: (sha256:%x+)")
end

local function read(one, reply, account)
  local digest
  local failure = account:read(OP, one.tag, reply, function(line)
    digest = digest_in(line) or digest
  end)
  if failure then return nil, failure end
  if digest then return digest end
  return nil, error_value.new { kind = "remote", op = OP, passing = true,
    message = ("%s %s: the daemon's answer ended without a digest"):format(OP, one.tag) }
end

local function blame(job, failure, one)
  return credentials.blame(job, failure, one.login, one.host)
end

local function push_once(job, connected, one)
  local reply <close>, failure = connected:request { op = ("%s %s"):format(OP, one.tag),
    method = "POST",
    path = "/images/" .. one.name .. "/push", headers = { ["X-Registry-Auth"] = one.header },
    stream = true,
    query = { tag = one.label, tlsVerify = connected:tls_verify(one.host) }, idle_timeout = 600 }
  if not reply then return nil, blame(job, fault.of_request(OP, one.tag, failure), one) end
  local account = transfer.new(job, "push " .. one.tag)
  local digest, problem = read(one, reply, account)
  if not digest then return nil, blame(job, problem, one) end
  local counts = account:finish()
  job:log("%s  %s%s", one.tag, digest, counts.all > 0 and
    ("  (%d layers pushed, %d were there)"):format(counts.pushed, counts.there + counts.mounted)
      or "")
  return digest
end

-- Everything that can be known to be wrong before anything leaves the machine.
local function plan(job, tags, auth)
  local list = {}
  for i, tag in ipairs(tags) do
    local parsed = reference.parse(tag)
    if parsed.digest then
      error(error_value.new { kind = "usage", op = OP,
        message = ("'%s' names a digest; what is pushed is a tag"):format(tag) }, 0)
    end
    local login = credentials.choose(job, auth, parsed.host, tag)
    list[i] = { tag = tag, name = parsed.name, label = parsed.tag or "latest", host = parsed.host,
      path = parsed.path, login = login,
      header = credentials.header(login) }
  end
  return list
end

--- Pushes each tag by its name, unless its registry has it already; with all_tags, all that the
--- named repositories have here.
---@param job orch.Job
---@param spec { tags: string[], auth?: table, all_tags?: boolean, force?: boolean }
---@return { tag: string, digest: string }[]
local function push(job, spec)
  local connected = client.connect(job)
  local tags = spec.all_tags and image.tags_of(connected, spec.tags) or spec.tags
  local before = not spec.force and pushed.new(job, connected)
  local list = {}
  for i, one in ipairs(plan(job, tags, spec.auth)) do
    local digest = before and before:digest(one)
    if digest then
      job:log("%s  %s  (unchanged: the registry has it)", one.tag, digest)
    else
      digest = fault.retrying(job, function() return push_once(job, connected, one) end)
    end
    list[i] = { tag = one.tag, digest = digest }
    job:artifact { kind = "image", name = one.tag, digest = digest }
  end
  return list
end

return { push = push }
