-- Helper servers and children of the engine's specs.
local lfs = require "lfs"
local proc = require "orch.proc"

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")
local program = lfs.symlinkattributes("/proc/self/exe", "target")

local Server = {}
Server.__index = Server

function Server:stop()
  self.child:cancel()
  self.child:wait()
  if self.path then os.remove(self.path) end
end

Server.__close = Server.stop

local function start(self, argv)
  self.child = assert(proc.start { argv = argv })
  self.port = assert(self.child:read()):match("%d+")
  return setmetatable(self, Server)
end

-- An HTTP server. options: unix = true; or cert, key, client_ca = files.
local function http(options)
  options = options or {}
  local self, argv = {}, { "/usr/bin/python3", here .. "/http.py" }
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
  start(self, argv)
  self.url = (options.cert and "https" or "http") .. "://127.0.0.1:" .. tostring(self.port)
  return self
end

-- A listener to which no further connection can be made: they wait.
local function full()
  local self = start({}, { "/usr/bin/python3", "-c", [[
import socket, time
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(0)
kept = []
for _ in range(4):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(listener.getsockname())
    kept.append(s)
time.sleep(0.05)
print(listener.getsockname()[1], flush=True)
time.sleep(60)
]] })
  self.url = "http://127.0.0.1:" .. self.port
  return self
end

-- A listener that says something that is no TLS to whoever comes.
local function rude()
  return start({}, { "/usr/bin/python3", "-c", [[
import socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    s, _ = listener.accept()
    s.recv(1)
    s.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    s.close()
]] })
end

local function environment(more)
  local env = { PATH = os.getenv("PATH"), ORCH_LUA = os.getenv("ORCH_LUA"),
    HOME = os.getenv("HOME"),
    ASAN_OPTIONS = os.getenv("ASAN_OPTIONS"), LSAN_OPTIONS = os.getenv("LSAN_OPTIONS"),
    ORCH = program }
  for name, value in pairs(more or {}) do env[name] = value end
  return env
end

local function output(options)
  local result = assert(proc.run(options))
  if result.code ~= 0 then error("child ended with " .. result.code .. ": " .. result.stdout) end
  return result.stdout
end

local function script(chunk, use)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(chunk)
  file:close()
  local ok, result = pcall(use, path)
  os.remove(path)
  return assert(ok and { result } or nil, result)[1]
end

-- What a child orch with this environment prints for a Lua chunk.
local function orch(env, chunk, ...)
  local args = table.pack(...)
  return script(chunk, function(path)
    return output { argv = { program, "lua", path, table.unpack(args) }, env = environment(env) }
  end)
end

-- What send.lua prints with these arguments and the output of a shell command as its input; a
-- command that ends with "orch" gives it its own input.
local function sh(producer, args)
  local line = '"$ORCH" lua ' .. here .. '/send.lua "$@"'
  local command = producer:match("^(.*)orch$")
  command = command and command .. line or "{ " .. producer .. "; } 2>/dev/null | " .. line
  return output { argv = { "/bin/sh", "-c", command, "sh", table.unpack(args) },
    env = environment() }
end

-- What a child orch prints whose resolver never answers; nil where there is no way to have one.
local function deaf_resolver(chunk)
  if assert(proc.run { argv = { "unshare", "-mn", "true" } }).code ~= 0 then return nil end
  return script(chunk, function(path)
    local command = [[
      ip link set lo up
      /usr/bin/python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 53))
open(sys.argv[1], "w").close()
time.sleep(20)' "$1.up" &
      while [ ! -e "$1.up" ]; do sleep 0.02; done
      echo nameserver 127.0.0.1 > "$1.conf" && mount --bind "$1.conf" /etc/resolv.conf && "$ORCH" lua "$1"
      code=$?
      kill $!
      rm -f "$1.conf" "$1.up"
      exit $code ]]
    return output {
      argv = { "unshare", "-mn", "/bin/sh", "-c", command, "sh", path }, env = environment(),
      timeout = 15,
    }
  end)
end

return { http = http, full = full, rude = rude, orch = orch, sh = sh, deaf_resolver = deaf_resolver,
  dir = here }
