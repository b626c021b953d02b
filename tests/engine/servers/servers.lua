-- Helper servers of the engine's specs: each a child that prints a line when it can be used.
local proc = require "orch.proc"

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")

local Server = {}
Server.__index = Server

function Server:stop()
  self.child:cancel()
  self.child:wait()
  if self.path then os.remove(self.path) end
end

-- options: unix = true, or cert, key, client_ca files
local function http(options)
  options = options or {}
  local argv = { "/usr/bin/python3", here .. "/http.py" }
  local self = setmetatable({}, Server)
  if options.unix then
    self.path = os.tmpname()
    os.remove(self.path)
    table.move({ "--unix", self.path }, 1, 2, #argv + 1, argv)
  end
  for _, name in ipairs { "cert", "key", "client_ca" } do
    if options[name] then
      table.move({ "--" .. name:gsub("_", "-"), options[name] }, 1, 2, #argv + 1, argv)
    end
  end
  self.child = assert(proc.start { argv = argv })
  self.port = assert(self.child:read()):match("%d+")
  self.url = (options.cert and "https" or "http") .. "://127.0.0.1:" .. tostring(self.port)
  return self
end

return { http = http }
