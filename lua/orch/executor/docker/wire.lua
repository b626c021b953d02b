-- The shim inside a container, started by an exec whose stream we hold: closing it ends what runs there.
--
-- Its frames (engine/shim/wire.h) come inside the daemon's own: stream, three zeros, length, bytes (Engine API,
-- "Attach to a container", stream format). Standard error is only what a broken shim or runtime would say.
local branches = require "orch.branches"
local error_value = require "orch.error"
local json = require "orch.json"
local turn = require "orch.executor.docker.turn"

local DAEMON_HEAD <const> = 8
local HEAD <const> = 5
local FRAME_MAX <const> = 64 * 1024 * 1024
local WORDS_MAX <const> = 4096
local WORDS_SECONDS <const> = 1 -- to hear out what is no frame
local KNOWN <const> = { o = true, x = true, b = true, d = true, e = true, h = true, k = true }

local Wire = {}
Wire.__index = Wire
Wire.SHIM = "/.orch/orch-shim"
Wire.OP = "docker exec" -- of an error that tells of the connection, not of what was asked for

local function lost(self, failure)
  local words = (self.words .. self.held):sub(1, WORDS_MAX):gsub("%s+$", "")
  return error_value.new { kind = failure and failure.kind or "remote", op = Wire.OP,
    message = ("container %s: %s"):format(self.container:sub(1, 12),
      words ~= "" and words or failure and failure.message or "the connection to its programs was lost"),
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

-- So many bytes.
local function take_bytes(self, count)
  if #self.held < count then
    local parts, sum = { self.held }, #self.held
    while sum < count do
      local part, failure = more(self)
      if not part then
        self.held = table.concat(parts)
        return nil, lost(self, failure)
      end
      parts[#parts + 1] = part
      sum = sum + #part
    end
    self.held = table.concat(parts)
  end
  local bytes = self.held:sub(1, count)
  self.held = self.held:sub(count + 1)
  return bytes
end

--- Waits for a frame: its type and payload, or nil, err when the connection is over.
---@return string? kind, string|orch.error payload
function Wire:take()
  local head, failure = take_bytes(self, HEAD)
  if not head then return nil, failure end
  local kind, len = string.unpack(">c1I4", head)
  if not KNOWN[kind] or len > FRAME_MAX then
    self.held = head .. self.held
    pcall(branches.timeout, WORDS_SECONDS, function()
      while #self.held < WORDS_MAX do self.held = self.held .. (more(self) or error "the end") end
    end)
    return nil, lost(self)
  end
  local payload
  payload, failure = take_bytes(self, len)
  if not payload then return nil, failure end
  return kind, payload
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
  local good, failure = self.stream:write(string.pack(">c1I4", kind, length(payload)) .. payload)
  if not good then return nil, lost(self, failure) end
  return true
end

--- Ends what runs at the other end, if it has not ended.
function Wire:close()
  if self.stream then self.stream:close() end
  self.stream = nil
end

Wire.__close = Wire.close

--- Starts the shim in a running container; the stream lives as long as the task that calls.
---@param connected table the client
---@param container string id
---@param life string "step", "files", "listen", "relay" or "end"
---@param user? string default: the container's
---@return table? wire, table? err
local function open(connected, container, life, user)
  local reply, failure = connected:request { op = Wire.OP, method = "POST",
    path = ("/containers/%s/exec"):format(container), json = { AttachStdin = true, AttachStdout = true,
      AttachStderr = true, Tty = false, Cmd = json.array { Wire.SHIM, life }, User = user, WorkingDir = "/" } }
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
  return setmetatable({ stream = stream, container = container, turn = turn.new(), raw = "", left = 0,
    held = "", words = "" }, Wire)
end

return { open = open, SHIM = Wire.SHIM, OP = Wire.OP }
