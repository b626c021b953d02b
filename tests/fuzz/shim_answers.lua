-- What comes from a container: the daemon's frames, in them those of the shim, in them its answers.
-- Whoever has root there can say anything; it is a value or an error.
local error_value = require "orch.error"

local pieces
local Stream = {}
Stream.__index = Stream
function Stream.read() return table.remove(pieces, 1) end
function Stream.close() end

package.loaded["orch.http"] = { upgrade = function() return setmetatable({}, Stream) end }
local client = { api = "1.41" }
function client.request() return { body = '{"Id":"a"}' } end
function client.peer() return {} end

local answers = require "orch.executor.docker.answers"
local wire = require "orch.executor.docker.wire"

local function check(name, payload)
  local value, err = answers[name](payload)
  assert(value ~= nil or error_value.is(err) and err.kind == "remote", err)
  return value
end

local function answer(payload)
  assert(error_value.is(answers.failure(payload, "docker exec")))
  local ended = check("ending", payload)
  assert(not ended or (ended.signal and ended.code == -1) ~= (ended.code >= 0),
    "it has ended in two ways")
  local identity = check("identity", payload)
  for _, group in ipairs(identity and identity.groups or {}) do
    assert(math.type(group) == "integer")
  end
  local stat = check("stat", payload)
  assert(not stat or stat.mtime == stat.mtime and math.type(stat.size) == "integer")
  local text = check("text", payload)
  assert(not text or not text:find("\0", 1, true))
end

-- The first byte is how the stream is cut.
return function(bytes)
  if bytes == "" then return end
  local step = bytes:byte() + 1
  pieces = {}
  for at = 2, #bytes, step do pieces[#pieces + 1] = bytes:sub(at, at + step - 1) end
  local link <close> = assert(wire.open(client, ("c"):rep(64), "step"))
  local sum, kind, payload = 0, link:take()
  while kind do
    sum = sum + 5 + #payload
    answer(payload)
    kind, payload = link:take()
  end
  assert(error_value.is(payload) and payload.kind == "remote", payload)
  assert(sum < #bytes, "more came out than went in")
end
