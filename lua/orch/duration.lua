-- Durations as people write them: a number of seconds, or "10m", "1.25h", "5s", "250ms".
local options = require "orch.options"

local SECONDS_MAX <const> = 1e9

local UNITS <const> = { ms = 0.001, s = 1, m = 60, h = 3600 }

--- Seconds; raises for what is no duration.
---@param what string who asks
---@param value number|string
---@return number
local function seconds(what, value)
  if type(value) == "number" and value >= 0 and value < SECONDS_MAX then return value end
  local number, unit = tostring(value):match("^(%d+%.?%d*)(%a+)$")
  if not UNITS[unit] then
    options.usage("%s: '%s' is no duration: a number of seconds, or 250ms, 5s, 10m, 1.5h", what,
      tostring(value))
  end
  return math.min(tonumber(number) * UNITS[unit], SECONDS_MAX)
end

return { seconds = seconds }
