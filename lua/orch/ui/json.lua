-- The stream of events as JSON lines; the schema is docs' events.schema.json.
local json = require "orch.json"

local function new(out)
  return function(event)
    out:write(json.encode(event), "\n")
  end
end

return { new = new }
