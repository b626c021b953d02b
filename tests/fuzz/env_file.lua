-- Files of variables: the first line is a value, the rest a file. Errors are refusals; what is set
-- is read again, and nothing else changes.
local env_file = require "orch.env_file"
local error_value = require "orch.error"

local function refused(err)
  assert(error_value.is(err) and err.kind == "usage", err)
end

return function(bytes)
  local value, text = bytes:match "^([^\n]*)\n?(.*)$"
  local good, values = pcall(env_file.parse, text, "f")
  if not good then return refused(values) end
  local done, written = pcall(env_file.set, text, { SET = value, _2 = 7 }, "f")
  if not done then
    refused(written)
    return assert(value:find("\0", 1, true), "a value that can be set was refused")
  end
  local again = env_file.parse(written, "f")
  assert(again.SET == value and again._2 == "7", "what was set is not read again")
  assert(env_file.set(written, { SET = value, _2 = 7 }, "f") == written,
    "setting twice is not setting once")
  for name, old in pairs(values) do
    -- another's value may be made of these
    local follows = text:find("[$][{]?SET") or text:find("[$][{]?_2")
    assert(follows or name == "SET" or name == "_2" or again[name] == old,
      "another variable changed")
  end
end
