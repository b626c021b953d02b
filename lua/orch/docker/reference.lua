-- Image references: [HOST[:PORT]/]PATH[:TAG][@DIGEST], as distribution's reference grammar has
-- them.
local error_value = require "orch.error"

local HUB <const>, HUB_OF_OLD <const> = "docker.io", "index.docker.io"
local NAME_MAX <const> = 255 -- host and path
-- hex digits by algorithm (OCI image-spec, descriptor.md, "Registered Algorithms"; go-digest's)
local DIGESTS <const> = { sha256 = 64, sha384 = 96, sha512 = 128 }

local function refuse(text, why)
  error(error_value.new { kind = "usage",
    message = ("'%s' is no image reference: %s"):format(text, why) }, 0)
end

-- The first component is a host when it has a dot, a colon or a capital, or is localhost.
local function split_host(rest)
  local first, path = rest:match("^([^/]+)/(.+)$")
  if first == HUB_OF_OLD then return HUB, path end
  if first and (first:find("[.:%u]") or first == "localhost") then return first, path end
  return HUB, rest
end

--- On the hub a path of one component is in library/.
local function full_path(host, path)
  return host == HUB and not path:find("/", 1, true) and "library/" .. path or path
end

local function is_host(text)
  local name = text:gsub(":%d+$", "")
  if name:find("^%[[%x:]+%]$") then return true end
  for label in (name .. "."):gmatch("([^.]*)%.") do
    if not label:find("^%w[%w-]*$") or label:find("-$") then return false end
  end
  return true
end

-- Letters and digits, with one dot, one or two underscores or any number of dashes between.
local function is_component(text)
  local words = "/" .. text:gsub("%-+", "/"):gsub("__?", "/"):gsub("%.", "/") .. "/"
  return words:find("^[%l%d/]+$") and not words:find("//", 1, true)
end

--- Takes a reference apart.
---@param text string
---@return { host: string, path: string, name: string, tag?: string, digest?: string } name is host and path as given
local function parse(text)
  local rest, digest = text:match("^([^@]+)@(.+)$")
  rest = rest or text
  local algorithm, hex = (digest or ""):match("^(%w+):([%da-f]+)$")
  if digest and not (hex and #hex == DIGESTS[algorithm]) then
    refuse(text, "a digest is sha256: and 64 hex digits")
  end
  local name, tag = rest:match("^(.-):([^:/]+)$")
  name = name or rest
  if tag and (#tag > 128 or not tag:match("^[%w_][%w_.-]*$")) then
    refuse(text, "a tag is at most 128 letters, digits and _ . -")
  end
  local host, path = split_host(name)
  if not is_host(host) then refuse(text, ("'%s' is no host"):format(host)) end
  for component in (path .. "/"):gmatch("([^/]*)/") do
    if not is_component(component) then
      refuse(text,
        ("'%s' must be lower-case letters and digits, with . _ - between"):format(component))
    end
  end
  if #host + 1 + #full_path(host, path) > NAME_MAX then
    refuse(text, ("host and path have at most %d letters"):format(NAME_MAX))
  end
  return { host = host, path = path, name = name, tag = tag, digest = digest }
end

-- Host and path as one text: "docker.io/library/alpine" for "alpine"; nil for what is no reference.
local function repository(text)
  local good, parsed = pcall(parse, text)
  return good and parsed.host .. "/" .. full_path(parsed.host, parsed.path) or nil
end

--- Do both name the same repository, however they are written?
---@param one string
---@param other string
local function same_repository(one, other)
  local repository_of_one = repository(one)
  return repository_of_one ~= nil and repository_of_one == repository(other)
end

--- The repository's name as docker shows it: "alpine" for "docker.io/library/alpine".
---@param text string
---@return string
local function familiar(text)
  local parsed = parse(text)
  if parsed.host ~= HUB then return parsed.host .. "/" .. parsed.path end
  return (parsed.path:gsub("^library/([^/]+)$", "%1"))
end

return { parse = parse, full_path = full_path, same_repository = same_repository,
  familiar = familiar, HUB = HUB }
