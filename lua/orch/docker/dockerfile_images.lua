-- The images that a Dockerfile names, its arguments filled in as the build would.
--
-- Rules: docs.docker.com/reference/dockerfile, "Understand how ARG and FROM interact" and
-- "Environment replacement".
local dockerfiles = require "orch.docker.dockerfile"

local WORDS_MAX <const> = 4096 -- bytes of a name; arguments may double each other
local UNKNOWN <const> = "unknown"

-- Arguments that nobody gives: the daemon knows them.
local OF_PLATFORM <const> = {}
for _, whose in ipairs { "TARGET", "BUILD" } do
  for _, what in ipairs { "PLATFORM", "OS", "ARCH", "VARIANT" } do
    OF_PLATFORM[whose .. what] = UNKNOWN
  end
end

-- ${NAME}, ${NAME:-word}, ${NAME-word}, ${NAME:+word}, ${NAME+word}; nil when it cannot be told.
local function value_of(form, values)
  local name, empty_too, sign, word = form:match("^([%a_][%w_]*)(:?)([-+]?)(.*)$")
  if not name or (sign == "" and form ~= name) then return nil end
  local value = values[name]
  local there = value ~= nil and not (empty_too == ":" and value == "")
  if sign == "" or sign == "-" and there then return value end
  return (sign == "-" or there) and word or ""
end

-- The text with all variables filled in; nil when one is not known.
local function filled(text, values)
  local known = true
  local function value(form)
    local found = value_of(form, values)
    known = known and found ~= nil
    return found or ""
  end
  local result = text:gsub("%${([^{}$]*)}", value):gsub("%$([%a_][%w_]*)", value)
  return known and #result <= WORDS_MAX and not result:find("$", 1, true) and result or nil
end

-- The same of an image; where only its end is not known, that is UNKNOWN: for a login the host is
-- enough. A name by itself is a stage's then, as in "build-${TARGETARCH}".
local function told(text, values)
  local name, host = filled(text, values), text:match("^([^/]+)/")
  if name then
    return (name:find("/", 1, true) or not name:find(UNKNOWN, 1, true)) and name or nil
  end
  host = host and filled(host, values)
  return host and host .. "/" .. UNKNOWN
end

local function unquoted(text) return text:match('^"(.*)"$') or text:match("^'(.*)'$") or text end

-- Takes the names and defaults of an ARG that stands before all FROMs.
local function take_arguments(values, words, given)
  for name, sign, default in words:gmatch("([%a_][%w_]*)(=?)(%S*)") do
    local value = given[name]
    if value ~= nil then
      values[name] = tostring(value)
    elseif sign == "=" then
      values[name] = filled(unquoted(default), values)
    end
  end
end

-- Calls found(name, line) for each FROM whose image can be told, other(instruction, image) for the
-- rest; with other, an image may end in what is not known.
local function walk(text, given, found, other)
  local values, stages, staged = {}, { scratch = true }, false
  local fill = other and told or filled
  if other then setmetatable(values, { __index = OF_PLATFORM }) end
  for _, each in ipairs(dockerfiles.instructions(text)) do
    local words = each.text:gsub(" %-%-%S+", "")
    if each.word == "FROM" then
      staged = true
      local name = fill(unquoted(words:match("^FROM (%S+)") or "$"), values)
      if name and not stages[name:lower()] then found(name, each.line) end
      local stage = words:match("^FROM %S+ [Aa][Ss] (%S+)")
      if stage then stages[stage:lower()] = true end
    elseif each.word == "ARG" and not staged then
      take_arguments(values, words:sub(#"ARG " + 1), given)
    elseif other then
      other(each, function(name)
        name = fill(name, values)
        return name and not stages[name:lower()] and not tonumber(name) and name or nil
      end)
    end
  end
end

--- The images that it names, as far as that can be told: FROM, COPY --from, mounts, and the
--- frontend of a "syntax" line. What only the daemon can tell is "unknown": "HOST/unknown".
---@param text string
---@param given? table<string, any> the build's arguments
---@return string[]
local function named(text, given)
  local list = { (dockerfiles.directives(text).syntax or ""):match("%S+") }
  walk(text, given or {}, function(name) list[#list + 1] = name end, function(each, image)
    list[#list + 1] = image(each.text:match("%-%-from=(%S+)") or "$")
    for mount in each.text:gmatch("%-%-mount=(%S+)") do
      list[#list + 1] = image(mount:match("%f[%w]from=([^,]+)") or "$")
    end
  end)
  return list
end

--- The line of the FROM that means an image, which the builder may name in full; nil when none
--- plainly does.
---@param text string
---@param image string "docker.io/library/busybox:1.36"
---@param given? table<string, any> the build's arguments
---@return integer?
local function line_of(text, image, given)
  image = image:gsub("@.*$", "")
  local line
  walk(text, given or {}, function(found, at)
    local name = found:gsub("@.*$", "")
    local full = name:find(":[^/]*$") and name or name .. ":latest"
    if not line and (image == name or ("/" .. image):sub(-#full - 1) == "/" .. full) then line = at end
  end)
  return line
end

--- The image of the FROM on a line, its arguments filled in; nil when it cannot be told.
---@param text string
---@param line integer
---@param given? table<string, any> the build's arguments
---@return string?
local function at_line(text, line, given)
  local image
  walk(text, given or {}, function(found, at) image = at == line and found or image end)
  return image
end

return { at_line = at_line, line_of = line_of, named = named }
