-- orch lua FILE [ARGUMENT]…: a Lua file inside the engine
local options = require "orch.options"

local function main(args)
  if not args[1] then options.usage("orch lua: which file? (orch lua FILE [ARGUMENT]...)") end
  local chunk, message = loadfile(args[1])
  if not chunk then options.usage("%s", message) end
  local code = chunk(table.unpack(args, 2))
  return math.type(code) == "integer" and code or 0
end

return { main = main }
