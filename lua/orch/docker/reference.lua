-- Image references: [HOST[:PORT]/]PATH[:TAG][@DIGEST], as distribution's reference grammar has them.
local error_value = require "orch.error"

local HUB <const> = "docker.io"

local function refuse(text, why)
  error(error_value.new { kind = "usage", message = ("'%s' is no image reference: %s"):format(text, why) }, 0)
end

-- The first component is a host when it has a dot or a colon, or is localhost.
local function split_host(rest)
  local first, path = rest:match("^([^/]+)/(.+)$")
  if first and (first:find("[.:]") or first == "localhost") then return first, path end
  return HUB, rest
end

--- Takes a reference apart.
---@param text string
---@return { host: string, path: string, name: string, tag?: string, digest?: string } name is host and path as given
local function parse(text)
  local rest, digest = text:match("^([^@]+)@(.+)$")
  rest = rest or text
  if digest and not digest:match("^sha256:%x+$") then refuse(text, "a digest is sha256: and 64 hex digits") end
  local name, tag = rest:match("^(.-):([^:/]+)$")
  name = name or rest
  if tag and (#tag > 128 or not tag:match("^[%w_][%w_.-]*$")) then
    refuse(text, "a tag is at most 128 letters, digits and _ . -")
  end
  local host, path = split_host(name)
  for component in (path .. "/"):gmatch("([^/]*)/") do
    if not component:match("^[%l%d]+[%l%d._-]*$") or component:match("[._-]$") then
      refuse(text, ("'%s' must be lower-case letters and digits, with . _ - between"):format(component))
    end
  end
  return { host = host, path = path, name = name, tag = tag, digest = digest }
end

return { parse = parse, HUB = HUB }
