-- Image references: [HOST[:PORT]/]PATH[:TAG][@DIGEST], as distribution's reference grammar has
-- them.
local error_value = require "orch.error"

local HUB <const> = "docker.io"

local function refuse(text, why)
  error(error_value.new { kind = "usage",
    message = ("'%s' is no image reference: %s"):format(text, why) }, 0)
end

-- The first component is a host when it has a dot, a colon or a capital, or is localhost.
local function split_host(rest)
  local first, path = rest:match("^([^/]+)/(.+)$")
  if first and (first:find("[.:%u]") or first == "localhost") then return first, path end
  return HUB, rest
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
  if digest and not (#digest == 71 and digest:match("^sha256:[%da-f]+$")) then
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
  return { host = host, path = path, name = name, tag = tag, digest = digest }
end

return { parse = parse, HUB = HUB }
