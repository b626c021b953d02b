-- Times as a person reads them.

--- "0.4 ms", "12 ms", "3.4 s", "2 min 05 s"
---@param seconds number
local function duration(seconds)
  if seconds < 0.0095 then return ("%.1f ms"):format(seconds * 1000) end
  if seconds < 0.9995 then return ("%.0f ms"):format(seconds * 1000) end
  if seconds < 59.95 then return ("%.1f s"):format(seconds) end
  return ("%d min %02.0f s"):format(seconds // 60, seconds % 60)
end

return { duration = duration }
