-- What a program in the container is to be started with, as frames for the shim
-- (engine/shim/request.c).
local GRACE <const> = 5           -- seconds
-- seconds without a sign of life from here, after which the shim ends the program
local SILENCE <const> = 120
local PIECE <const> = 1024 * 1024 -- of input

local function milliseconds(seconds) return math.floor((seconds or 0) * 1000 + 0.5) end

-- Texts that end with a NUL each; one that is a secret makes the whole a secret.
local function packed(texts)
  local payload, plain = nil, {}
  for _, text in ipairs(texts) do
    if type(text) == "userdata" then
      payload = (payload or "") .. table.concat(plain) .. text
      plain = { "\0" }
    else
      plain[#plain + 1] = tostring(text) .. "\0"
    end
  end
  return payload and payload .. table.concat(plain) or table.concat(plain)
end

local function refuse_nul(key, text)
  if type(text) == "string" and text:find("\0", 1, true) then
    error(("proc.start: option '%s' holds a NUL"):format(key), 4)
  end
end

local function encode(identity, ended, spec)
  local texts = { ended, SILENCE * 1000, milliseconds(spec.grace or GRACE),
    milliseconds(spec.timeout), milliseconds(spec.quiet), spec.split and 1 or 0,
    identity.uid, identity.gid, #identity.groups }
  table.move(identity.groups, 1, #identity.groups, #texts + 1, texts)
  table.move({ spec.cwd, #spec.argv }, 1, 2, #texts + 1, texts)
  for _, each in ipairs(spec.argv) do
    refuse_nul("argv", each)
    texts[#texts + 1] = each
  end
  local names = {}
  for name in pairs(spec.env) do names[#names + 1] = name end
  table.sort(names)
  texts[#texts + 1] = #names
  for _, name in ipairs(names) do
    refuse_nul("env", spec.env[name])
    texts[#texts + 1] = name .. "=" .. spec.env[name]
  end
  return packed(texts)
end

--- The payload of a request, for `orch-shim enter`.
---@param identity { uid: integer, gid: integer, groups: integer[] }
---@param spec { argv: table, cwd: string, env: table }
---@return string|orch.Secret
local function payload(identity, spec) return encode(identity, "", spec) end

--- Asks for the program; raises when the connection breaks.
---@param wire table
---@param identity { uid: integer, gid: integer, groups: integer[] }
---@param ended string a path in the container, where the shim leaves word of the end
---@param spec orch.proc.options with env and cwd
local function send(wire, identity, ended, spec)
  assert(wire:send("r", encode(identity, ended, spec)))
  local input = spec.input
  if type(input) == "userdata" then
    assert(wire:send("i", input))
  elseif input then
    for at = 1, math.max(#input, 1), PIECE do
      assert(wire:send("i", input:sub(at, at + PIECE - 1)))
    end
  end
  assert(wire:send("g"))
end

return { send = send, payload = payload, GRACE = GRACE }
