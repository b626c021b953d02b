-- Pulls images by name.
local client = require "orch.docker.client"
local credentials = require "orch.docker.credentials"
local error_value = require "orch.error"
local fault = require "orch.docker.fault"
local image = require "orch.docker.image"
local reference = require "orch.docker.reference"
local transfer = require "orch.docker.transfer"

local OP <const> = "docker pull"

local function blame(job, failure, one)
  return credentials.blame(job, failure, one.login, one.host)
end

local function pull_once(job, connected, one, platform)
  local reply <close>, failure = connected:request { op = ("%s %s"):format(OP, one.image),
    method = "POST",
    path = "/images/create", headers = { ["X-Registry-Auth"] = one.header }, stream = true,
    idle_timeout = 600,
    query = { fromImage = one.name, tag = one.label, platform = platform,
      tlsVerify = connected:tls_verify(one.host) } }
  if not reply then return nil, blame(job, fault.of_request(OP, one.image, failure), one) end
  local account = transfer.new(job, "pull " .. one.image)
  local digest, new
  local broken = account:read(OP, one.image, reply, function(line)
    local status = line.status or ""
    digest = status:match("^Digest: (sha256:%x+)") or digest
    if status:find("^Status: Downloaded newer") then new = true end
  end)
  if broken then return nil, blame(job, broken, one) end
  account:finish()
  return { digest = digest, new = new or false }
end

-- 20.10 takes an image of another platform without a word.
local function check_platform(one, inspected, platform)
  local os_name, architecture = platform:match("^([^/]+)/([^/]+)")
  if not os_name or inspected.Os == os_name and inspected.Architecture == architecture then
    return
  end
  error(error_value.new { kind = "missing", op = OP,
    message = ("%s %s: there is none for %s; what came is for %s/%s"):format(OP, one.image,
      platform, inspected.Os,
      inspected.Architecture) }, 0)
end

local function pull_one(job, connected, one, platform)
  local got = fault.retrying(job, function() return pull_once(job, connected, one, platform) end)
  local inspected = image.inspect(connected, one.image)
  if platform then check_platform(one, inspected, platform) end
  local digest = got.digest or one.digest
  job:log("%s  %s  (%s)", one.image, digest or inspected.Id, got.new and "new" or "up to date")
  return { image = one.image, id = inspected.Id, digest = digest, new = got.new }
end

-- Without a tag the daemon pulls all that the repository has.
local function pull_all(job, connected, one, platform)
  fault.retrying(job, function() return pull_once(job, connected, one, platform) end)
  local pulled = {}
  for i, tag in ipairs(image.tags_of(connected, { one.image })) do
    local inspected = image.inspect(connected, tag)
    pulled[i] = { image = tag, id = inspected.Id, digest = image.digest_of(inspected, one.name) }
    job:log("%s  %s", tag, pulled[i].digest or inspected.Id)
  end
  return pulled
end

--- Pulls each image by its name.
---@param job orch.Job
---@param spec { images: string[], platform?: string, auth?: table, all_tags?: boolean }
---@return { image: string, id: string, digest?: string, new?: boolean }[]
local function pull(job, spec)
  local connected = client.connect(job)
  local list, pulled = {}, {}
  for i, name in ipairs(spec.images) do
    local parsed = reference.parse(name)
    if spec.all_tags and (parsed.tag or parsed.digest) then
      error(error_value.new { kind = "usage", op = OP,
        message = ("all_tags wants the name of a repository; '%s' names one image"):format(name) },
          0)
    end
    local login = credentials.choose(job, spec.auth, parsed.host, name)
    list[i] = { image = name, name = parsed.name, digest = parsed.digest, host = parsed.host,
      login = login,
      label = not spec.all_tags and (parsed.digest or parsed.tag or "latest") or nil,
      header = credentials.header(login) }
  end
  for _, one in ipairs(list) do
    if spec.all_tags then
      local all = pull_all(job, connected, one, spec.platform)
      table.move(all, 1, #all, #pulled + 1, pulled)
    else
      pulled[#pulled + 1] = pull_one(job, connected, one, spec.platform)
    end
  end
  return pulled
end

return { pull = pull }
