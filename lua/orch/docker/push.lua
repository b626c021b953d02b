-- Pushes images by name: each tag on its own, so that what was not asked for never leaves the machine.
local client = require "orch.docker.client"
local error_value = require "orch.error"
local hash = require "orch.hash"
local json = require "orch.json"
local reference = require "orch.docker.reference"
local task = require "orch.task"

local ATTEMPTS <const> = 4
local FIRST_WAIT <const> = 0.5

-- Engine API, X-Registry-Auth: base64url with padding of the JSON; no header at all is refused by old ones.
local function registry_auth(auth)
  if not auth then return hash.base64("{}", "url") end
  return hash.base64(json.encode({ username = auth.username, password = auth.password,
    serveraddress = auth.registry }, { open_secrets = true }), "url")
end

local RULES <const> = {
  { "unauthorized", "auth" }, { "authentication required", "auth" }, { "no basic auth credentials", "auth" },
  { "denied", "auth" }, { "name unknown", "missing" }, { "tag does not exist", "missing" },
  { "does not exist locally", "missing" }, { "tag invalid", "conflict" }, { "immutable", "conflict" },
  { "connection refused", "net" }, { "no such host", "net" }, { "i/o timeout", "net" },
  { "connection reset", "net" }, { "EOF", "net" }, { "toomanyrequests", "remote" },
  { "500 Internal", "remote" }, { "502 Bad", "remote" }, { "503 Service", "remote" }, { "504 Gateway", "remote" },
}

local HINTS <const> = {
  auth = "is the credential for this registry, and may it push there? (ecr_login gives one for ECR Public)",
  missing = "build the image under this tag first, and make sure that the repository exists",
}

local function failure_of(tag, message)
  local kind = "remote"
  for _, rule in ipairs(RULES) do
    if message:lower():find(rule[1]:lower(), 1, true) then
      kind = rule[2]
      break
    end
  end
  return error_value.new { kind = kind, op = "docker push", hint = HINTS[kind],
    message = ("docker push %s: %s"):format(tag, message) }
end

-- A registry's passing fault, as opposed to its no.
local function passing(failure)
  return failure.kind == "net" or failure.kind == "remote" and (failure.status == nil or failure.status >= 500)
end

local function push_once(job, connected, tag, auth)
  local parsed = reference.parse(tag)
  local reply, failure = connected:request { op = "docker push " .. tag, method = "POST",
    path = "/images/" .. parsed.name .. "/push", query = { tag = parsed.tag or "latest" },
    headers = { ["X-Registry-Auth"] = registry_auth(auth) }, stream = true, idle_timeout = 600 }
  if not reply then error(failure, 0) end
  local digest, counts = nil, { pushed = 0, there = 0 }
  for line in connected.lines("docker push", reply) do
    if line.errorDetail or line.error then
      error(failure_of(tag, tostring(line.errorDetail and line.errorDetail.message or line.error)), 0)
    elseif line.aux and line.aux.Digest then
      digest = line.aux.Digest
    elseif line.status == "Pushed" then
      counts.pushed = counts.pushed + 1
    elseif line.status == "Layer already exists" or (line.status or ""):find("^Mounted from") then
      counts.there = counts.there + 1
    else
      digest = digest or (line.status or ""):match("digest: (sha256:%x+)")
    end
  end
  if not digest then
    error(error_value.new { kind = "remote", op = "docker push",
      message = ("docker push %s: the daemon's answer ended without a digest"):format(tag) }, 0)
  end
  job:log("%s  %s  (%d layers pushed, %d were there)", tag, digest, counts.pushed, counts.there)
  return digest
end

local function push_with_retries(job, connected, tag, auth)
  local wait = FIRST_WAIT
  for attempt = 1, ATTEMPTS do
    local good, result = pcall(push_once, job, connected, tag, auth)
    if good then return result end
    if attempt == ATTEMPTS or not error_value.is(result) or not passing(result) then error(result, 0) end
    job:log("%s; trying again in %g s", result.message, wait)
    task.sleep(wait)
    wait = wait * 2
  end
end

--- Pushes each tag by its name.
---@param job orch.Job
---@param tags string[]
---@param auth? { registry: string, username: string, password: any }
---@return { tag: string, digest: string }[]
local function push(job, tags, auth)
  local connected = client.connect()
  for _, tag in ipairs(tags) do
    local host = reference.parse(tag).host
    if auth and auth.registry ~= host then
      error(error_value.new { kind = "usage", op = "docker push",
        message = ("the credential is for %s, but %s goes to %s"):format(auth.registry, tag, host) }, 0)
    end
  end
  local pushed = {}
  for i, tag in ipairs(tags) do
    pushed[i] = { tag = tag, digest = push_with_retries(job, connected, tag, auth) }
    job:artifact { kind = "image", name = tag, digest = pushed[i].digest }
  end
  return pushed
end

return { push = push }
