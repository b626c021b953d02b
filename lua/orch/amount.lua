-- Amounts as a person reads them.
local UNITS <const> = { "kB", "MB", "GB", "TB" }

--- "512 B", "12.3 MB"
---@param bytes integer
local function size(bytes)
  if bytes < 1000 then return ("%d B"):format(bytes) end
  local value, unit = bytes / 1000, 1
  while value >= 999.95 and unit < #UNITS do value, unit = value / 1000, unit + 1 end
  return (value < 99.95 and "%.1f %s" or "%.0f %s"):format(value, UNITS[unit])
end

--- "1 entry", "12 entries": files, directories and links of an archive
---@param count integer
local function entries(count)
  return ("%d %s"):format(count, count == 1 and "entry" or "entries")
end

return { size = size, entries = entries }
