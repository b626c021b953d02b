-- Images that the daemon has, and what a registry says of one.
local credentials = require "orch.docker.credentials"
local error_value = require "orch.error"
local fault = require "orch.docker.fault"
local json = require "orch.json"
local lines = require "orch.docker.lines"
local reference = require "orch.docker.reference"

-- without a byte, while the daemon writes an archive or reads one
local ARCHIVE_SECONDS <const> = 3600
local LOADED_MAX <const> = 10000 -- images in an archive
local NAME_MAX <const> = 512     -- bytes; a reference has 128 for its tag and 255 for the rest

local function decoded(reply, op)
  local value, failure = json.decode(reply.body)
  if value then return value end
  error(error_value.new { kind = "remote", op = op,
    message = ("%s: %s"):format(op, failure.message) }, 0)
end

-- Slashes and colons stand as they are in the Engine's paths.
local function path_of(name)
  if not name:match("^[%w][%w._:/@-]*$") then
    error(error_value.new { kind = "usage", op = "docker",
      message = ("'%s' is no image reference"):format(name) }, 0)
  end
  return "/images/" .. name
end

--- What the Engine API says of an image, or nil, err (missing).
local function look(connected, name)
  local op = "docker image inspect " .. name
  local reply, failure = connected:request { op = op, path = path_of(name) .. "/json" }
  if not reply then return nil, failure end
  return decoded(reply, op)
end

--- The same; raises when it is not there.
local function inspect(connected, name)
  local inspected, failure = look(connected, name)
  return inspected or error(failure, 0)
end

--- The digests under which a repository knows the image; name may have a tag.
---@return string[]
local function digests_of(inspected, name)
  local digests = {}
  for _, each in ipairs(type(inspected.RepoDigests) == "table" and inspected.RepoDigests or {}) do
    local repository, digest = each:match("^(.*)@(.*)$")
    if repository and reference.same_repository(repository, name) then
      digests[#digests + 1] = digest
    end
  end
  return digests
end

--- The first of them, or nil.
local function digest_of(inspected, name) return digests_of(inspected, name)[1] end

--- The tags that repositories have here, as NAME:TAG, sorted; raises for one that has none.
---@param names string[] without tags
---@return string[]
local function tags_of(connected, names)
  local tags = {}
  for _, name in ipairs(names) do
    local parsed = reference.parse(name)
    if parsed.tag or parsed.digest then
      error(error_value.new { kind = "usage", op = "docker",
        message = ("all_tags wants the name of a repository; '%s' names one image"):format(name) },
          0)
    end
    local reply, failure = connected:request { op = "docker images " .. name, path = "/images/json",
      query = { filters = json.encode { reference = { name, reference.familiar(name) } } } }
    if not reply then error(failure, 0) end
    local before = #tags
    for _, each in ipairs(decoded(reply, "docker images")) do
      for _, tag in ipairs(type(each.RepoTags) == "table" and each.RepoTags or {}) do
        if reference.same_repository(tag, name) then tags[#tags + 1] = tag end
      end
    end
    if #tags == before then
      error(error_value.new { kind = "missing", op = "docker",
        message = ("there is no image of %s here"):format(name) }, 0)
    end
  end
  table.sort(tags)
  return tags
end

--- Gives an image another name.
local function tag(connected, source, target)
  local parsed = reference.parse(target)
  if parsed.digest then
    error(error_value.new { kind = "usage", op = "docker",
      message = ("'%s': a tag cannot have a digest"):format(target) }, 0)
  end
  local reply, failure = connected:request { op = ("docker tag %s %s"):format(source, target),
    method = "POST",
    path = path_of(source) .. "/tag", query = { repo = parsed.name, tag = parsed.tag or "latest" } }
  if not reply then error(failure, 0) end
end

--- The digest that a registry has for an image; nil when it has no such image.
---@param job orch.Job
---@param auth? table
---@return string?
local function remote_digest(job, connected, name, auth)
  local op = "docker image"
  local parsed = reference.parse(name)
  local credential = credentials.choose(job, auth, parsed.host, name)
  if connected.podman then -- it has no such call
    return require "orch.docker.registry".digest(job, name, credential)
  end
  return fault.retrying(job, function()
    local reply, failure = connected:request { op = op,
      path = ("/distribution/%s/json"):format(name),
      headers = { ["X-Registry-Auth"] = credentials.header(credential) } }
    if reply then return decoded(reply, op).Descriptor.digest end
    failure = fault.of_request(op, name, failure)
    if failure.kind == "missing" then return false end
    return nil, credentials.blame(job, failure, credential, parsed.host)
  end) or nil
end

--- Takes a name, and with its last one the image, away; absent is good.
---@return boolean removed
local function remove(connected, name, force)
  local reply, failure = connected:request { op = "docker rmi " .. name, method = "DELETE",
    path = path_of(name),
    query = { force = force or nil } }
  if reply then return true end
  if failure.kind == "missing" then return false end
  if failure.kind == "conflict" then
    failure.hint = "a container uses it, or it has other names; force = true"
  end
  error(failure, 0)
end

--- Writes images into an archive.
---@param path string on this machine
local function save(connected, names, path)
  for _, name in ipairs(names) do
    -- 20.10 begins an archive before it finds that one is not there
    local there, failure = look(connected, name)
    if not there then error(failure, 0) end
  end
  local reply, failure = connected:request { op = "docker save", path = "/images/get",
    query = { names = names },
    file = path, idle_timeout = ARCHIVE_SECONDS }
  if not reply then error(failure, 0) end
end

--- Reads images from an archive; their names, or ids of those without.
---@param path string on this machine
---@return string[]
local function load(connected, path)
  local reply <close>, failure = connected:request { op = "docker load", method = "POST",
    path = "/images/load",
    headers = { ["Content-Type"] = "application/x-tar" }, body_file = path, stream = true,
    query = { quiet = true },
    idle_timeout = ARCHIVE_SECONDS }
  if not reply then error(failure, 0) end
  local loaded = {}
  for line in lines.each("docker load", reply) do
    if line.errorDetail or line.error then
      error(error_value.new { kind = "failed", op = "docker load",
        message = "docker load: "
          .. tostring(line.errorDetail and line.errorDetail.message or line.error) }, 0)
    end
    for each in tostring(line.stream or ""):gmatch("Loaded image[^:]*: *([^\n]+)") do
      for name in each:gmatch("[^, ]+") do
        if #loaded == LOADED_MAX then error(fault.endless("docker load", LOADED_MAX, "images"), 0) end
        loaded[#loaded + 1] = name:sub(1, NAME_MAX)
      end
    end
  end
  return loaded
end

return { look = look, inspect = inspect, digest_of = digest_of, digests_of = digests_of,
  tags_of = tags_of, tag = tag, remote_digest = remote_digest, remove = remove, save = save,
  load = load }
