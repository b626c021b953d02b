-- Daemons that play a scene of daemon.py with a session, each on a socket in the box's directory.
local assert = require "luassert"
local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local servers = require "engine.servers.servers"
local session = require "orch.session"

local Box = {}
Box.__index = Box

--- What the daemon prints next.
function Box:line()
  while not self.held:find("\n") do self.held = self.held .. (self.daemon:read() or "\n") end
  local first
  first, self.held = self.held:match("^([^\n]*)\n(.*)$")
  return first
end

--- A daemon of the scene, listening; its socket.
function Box:start(scene, value)
  local socket = self.dir .. "/socket"
  self.daemon = assert(proc.start { grace = 0.1, argv = { "/usr/bin/python3",
    servers.dir .. "/daemon.py", socket, scene, json.encode(value == nil and json.null or value) } })
  self.held = ""
  assert.equal("ready", self:line())
  return socket
end

--- Waits until the daemon has ended by itself.
function Box:ended() self.daemon:wait() end

--- Makes room for the next daemon of a test.
function Box:stop()
  self.daemon:cancel()
  self.daemon:wait()
  self.daemon = nil
  assert(fs.remove(self.dir .. "/socket"))
end

--- All that the daemon says until its end.
function Box:said()
  local text = self.held
  for piece in self.daemon.read, self.daemon do text = text .. piece end
  local value = json.decode(text)
  if not value then error(text) end
  return value
end

function Box.open(_, socket, options)
  options = options or {}
  options.unix, options.api = socket, "1.41"
  return session.open(options)
end

--- What comes of a session that this daemon spoils.
function Box:spoilt(scene, value, options)
  local s <close> = assert(self:open(self:start(scene, value), options))
  local stats, err = s:wait()
  assert.is_nil(stats)
  return err
end

--- A file of the context.
function Box:write(name, text)
  local path = self.context .. "/" .. name
  assert(fs.make_dir(path:match("^(.*)/")))
  assert(fs.write(path, text))
end

--- What a daemon gets that asks for files as value says: its answer, and how the session ended.
function Box:files(value, options)
  options = options or {}
  options.dirs = options.dirs or { context = self.context }
  value.meta = value.meta or { { "dir-name", "context" } }
  local s <close> = assert(self:open(self:start("files", value), options))
  local answer = self:said()
  local stats, err = s:wait()
  return answer, stats, err
end

function Box:remove()
  if self.daemon then self:stop() end
  assert(fs.remove(self.dir))
end

--- The paths of such an answer, in a line.
local function paths(answer)
  local list = {}
  for i, stat in ipairs(answer.stats) do list[i] = stat.path end
  return table.concat(list, " ")
end

local function box()
  local dir = assert(fs.make_temp("/tmp/orch-session-"))
  assert(fs.make_dir(dir .. "/context"))
  return setmetatable({ dir = dir, context = dir .. "/context" }, Box)
end

return { box = box, paths = paths }
