-- Times and sizes as a person reads them.

--- "0.4 ms", "12 ms", "3.4 s", "2 min 05 s", "1 h 02 min"
---@param seconds number
local function duration(seconds)
  if seconds < 0.0095 then return ("%.1f ms"):format(seconds * 1000) end
  if seconds < 0.9995 then return ("%.0f ms"):format(seconds * 1000) end
  if seconds < 59.95 then return ("%.1f s"):format(seconds) end
  local whole = math.floor(seconds + 0.5)
  if whole < 3600 then return ("%d min %02d s"):format(whole // 60, whole % 60) end
  return ("%d h %02d min"):format(whole // 3600, whole % 3600 // 60)
end

--- As duration, for what still runs: whole seconds, which do not flicker.
---@param seconds number
local function running(seconds)
  if seconds < 59.5 then return ("%d s"):format(math.floor(seconds)) end
  return duration(math.floor(seconds))
end

local UNITS <const> = { "kB", "MB", "GB", "TB" }

--- "512 B", "12.3 MB"
---@param bytes integer
local function size(bytes)
  if bytes < 1000 then return ("%d B"):format(bytes) end
  local value, unit = bytes / 1000, 1
  while value >= 999.95 and unit < #UNITS do value, unit = value / 1000, unit + 1 end
  return (value < 99.95 and "%.1f %s" or "%.0f %s"):format(value, UNITS[unit])
end

return { duration = duration, running = running, size = size }
