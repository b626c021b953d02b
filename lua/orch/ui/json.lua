-- The stream of events as JSON lines; lua/orch/ui/events.schema.json says what is in them.
local json = require "orch.json"

local LOOK_SECONDS <const> = 3600

local Json = {}
Json.__index = Json

function Json:receive(event) self.out:write(json.encode(event), "\n") end

function Json.tick() return LOOK_SECONDS end

function Json.interrupted() end

function Json.finish() end

local function new(out) return setmetatable({ out = out }, Json) end

return { new = new }
