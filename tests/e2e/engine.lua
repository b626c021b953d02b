-- The daemon of the tests, where newer ones do otherwise than 20.10 (API 1.41).
local assert = require "luassert"
local http = require "orch.http"
local json = require "orch.json"

--- What it answers itself.
---@param path string with the API's version, where it matters
---@param method? string default "GET"
---@return orch.http.reply
local function ask(path, method)
  local socket = os.getenv("DOCKER_HOST"):match("^unix://(.*)")
  return assert(http.request { url = "http://d" .. path, unix = socket, method = method or "GET" })
end

--- Its /version.
local function version() return json.decode(ask("/version").body) end

--- The version that orch and it agree on: orch speaks up to 1.55.
local function agreed()
  local minor = tonumber(version().ApiVersion:match "^1%.(%d+)$")
  return ("1.%d"):format(math.min(minor, 55))
end

local function is_newer() return version().ApiVersion ~= "1.41" end

--- How many files of an unchanged context it asks for: a newer BuildKit reads these texts anew, the
--- Dockerfile and the .dockerignore, in each build.
---@param ... string
---@return integer files, integer bytes
local function sent(...)
  local bytes = 0
  if not is_newer() then return 0, 0 end
  for _, text in ipairs { ... } do bytes = bytes + #text end
  return select("#", ...), bytes
end

return { ask = ask, version = version, agreed = agreed, is_newer = is_newer, sent = sent }
