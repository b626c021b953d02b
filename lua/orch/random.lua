-- Names that nobody guesses or has taken.
local fs = require "orch.fs"

--- So many random bytes, as hexadecimal digits. Raises when the system has none to give.
---@param count integer
---@return string
local function hex(count)
  return (assert(fs.random(count)):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

return { hex = hex }
