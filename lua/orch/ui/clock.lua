-- Times as a person reads them.

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

return { duration = duration, running = running }
