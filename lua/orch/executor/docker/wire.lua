-- The shim inside a container, started by an exec whose stream we hold: closing it ends what runs
-- there.
--
-- Its frames (engine/shim/wire.h) come inside the daemon's own: stream, three zeros, length, bytes
-- (Engine API, "Attach to a container", stream format). Standard error is only what a broken shim
-- or runtime would say.
local branches = require "orch.branches"
local error_value = require "orch.error"
local json = require "orch.json"
local task = require "orch.task"
local turn = require "orch.executor.docker.turn"

local DAEMON_HEAD <const> = 8
local HEAD <const> = 5
local FRAME_MAX <const> = 64 * 1024 * 1024
local WORDS_MAX <const> = 4096
local WORDS_SECONDS <const> = 1 -- to hear out what is no frame
local LINGER_SECONDS <const> = 60
local KNOWN <const> = { o = true, x = true, b = true, d = true, e = true, h = true, k = true }

local Wire = {}
Wire.__index = Wire
Wire.DIR = "/.orch" -- in the container, on a volume: the shim, and word of ends
Wire.SHIM = Wire.DIR .. "/orch-shim"
Wire.OP = "docker exec" -- of an error that tells of the connection, not of what was asked for

local function lost(self, failure, junk)
  local words = (self.words .. (junk or "")):sub(1, WORDS_MAX):gsub("%s+$", "")
  return error_value.new { kind = failure and failure.kind or "remote", op = Wire.OP,
    message = ("container %s: %s"):format(self.container:sub(1, 12),
      words ~= "" and words or failure and failure.message
        or "the connection to its programs was lost"),
    hint = words:find("exec format error", 1, true)
      and "the daemon's machine has another processor than this one" or nil }
end

-- The next bytes of the shim's output; nil, err at the end.
local function more(self)
  while true do
    if self.left > 0 and #self.raw > 0 then
      local part = self.raw:sub(1, self.left)
      self.raw = self.raw:sub(#part + 1)
      self.left = self.left - #part
      if self.number ~= 2 then return part end
      self.words = (self.words .. part):sub(-WORDS_MAX)
    elseif self.left == 0 and #self.raw >= DAEMON_HEAD then
      local zeros
      self.number, zeros, self.left = string.unpack(">BI3I4", self.raw)
      if self.number > 2 or zeros ~= 0 then return nil end
      self.raw = self.raw:sub(DAEMON_HEAD + 1)
    else
      local piece, failure = self.stream:read()
      if not piece then return nil, failure end
      self.raw = self.raw .. piece
    end
  end
end

-- Waits until so many bytes are held. Whoever is cancelled in it takes none away.
local function hold(self, count)
  while self.held_bytes < count do
    local part, failure = more(self)
    if not part then return nil, lost(self, failure) end
    self.held[#self.held + 1] = part
    self.held_bytes = self.held_bytes + #part
  end
  self.held = { table.concat(self.held) }
  return self.held[1]
end

--- Waits for a frame: its type and payload, or nil, err when the connection is over.
---@return string? kind, string|orch.error payload
function Wire:take()
  local held, failure = hold(self, HEAD)
  if not held then return nil, failure end
  local kind, len = string.unpack(">c1I4", held)
  if not KNOWN[kind] or len > FRAME_MAX then
    pcall(branches.timeout, WORDS_SECONDS, function() hold(self, WORDS_MAX) end)
    return nil, lost(self, nil, table.concat(self.held))
  end
  held, failure = hold(self, HEAD + len)
  if not held then return nil, failure end
  self.held, self.held_bytes = { held:sub(HEAD + len + 1) }, #held - HEAD - len
  return kind, held:sub(HEAD + 1, HEAD + len)
end

-- Concatenation with a secret is a secret, which string.pack would refuse.
local function length(payload)
  local secret = require "orch.secret"
  return secret.is(payload) and secret.len(payload) or #payload
end

--- Waits until the frame is on its way.
---@param kind string
---@param payload? string|orch.Secret
---@return true? good, table? err
function Wire:send(kind, payload)
  payload = payload or ""
  local _ <close> = self.turn:take()
  self.sending = true -- still so when this is given up halfway
  local good, failure = self.stream:write(string.pack(">c1I4", kind, length(payload)) .. payload)
  if not good then return nil, lost(self, failure) end
  self.sending = false
  return true
end

--- Ends what runs at the other end, if it has not ended.
function Wire:close()
  if self.stream then self.stream:close() end
  self.stream = nil
  if self.keeper then self.keeper:unpark() end
end

Wire.__close = Wire.close

--- Starts the shim in a running container; the stream lives as long as the task that calls.
---@param connected table the client
---@param container string id
---@param life string "serve", "listen", "relay" or "end"
---@param user? string default: the container's
---@return table? wire, table? err
local function open(connected, container, life, user)
  local reply, failure = connected:request { op = Wire.OP, method = "POST",
    path = ("/containers/%s/exec"):format(container),
    json = { AttachStdin = true, AttachStdout = true,
      AttachStderr = true, Tty = false, Cmd = json.array { Wire.SHIM, life }, User = user,
      WorkingDir = "/" } }
  if not reply then return nil, failure end
  local made = assert(json.decode(reply.body))
  local options = connected:peer()
  options.path = ("/v%s/exec/%s/start"):format(connected.api, made.Id)
  options.body = '{"Detach":false,"Tty":false}'
  options.headers = { ["Content-Type"] = "application/json" }
  local stream, upgrade_failure = require "orch.http".upgrade(options)
  if not stream then
    upgrade_failure.op = Wire.OP
    upgrade_failure.message = ("%s: %s"):format(Wire.OP, upgrade_failure.message)
    return nil, upgrade_failure
  end
  return setmetatable({ stream = stream, container = container, turn = turn.new(), raw = "",
    left = 0, held = {}, held_bytes = 0, words = "" }, Wire)
end

-- Until it is closed. When the job is cancelled it is still needed, to end what runs and to hear of
-- that.
local function keep(link)
  local function wait()
    while link.stream do task.park() end
  end
  link.keeper = task.current()
  local _ <close> = link
  if not pcall(wait) then branches.cleanup(wait, LINGER_SECONDS) end
end

--- The same, for whoever comes: it lives until it is closed, or a while after the owner was
--- cancelled.
---@param owner orch.Task
local function open_below(owner, connected, container, life, user)
  local me, over, link, failure = task.current(), false, nil, nil
  local keeper = owner:spawn(function()
    local good
    good, link, failure = pcall(open, connected, container, life, user)
    if not good then link, failure = nil, link end
    over = true
    me:unpark()
    if link then keep(link) end
  end)
  local _ <close> = setmetatable({}, { __close = function()
    if not over then
      keeper:cancel(error_value.new { kind = "cancelled",
        message = "nobody waits for it any more" })
    end
  end })
  while not over and not keeper:ended() do task.park() end
  if link then return link end
  return nil, failure or error_value.new { kind = "cancelled", message = "the job is over" }
end

return { open = open, open_below = open_below, DIR = Wire.DIR, SHIM = Wire.SHIM, OP = Wire.OP }
