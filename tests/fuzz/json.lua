-- What json.decode takes, json.encode writes, and that reads as the same; a document, and line by
-- line.
local json = require "orch.json"

local function again(text)
  local value, err = json.decode(text)
  if value == nil then
    assert(err.kind == "usage" or err.kind == "limit", err)
    return
  end
  local once = json.encode(value)
  local copy = assert(json.decode(once) ~= nil and { json.decode(once) },
    "what was written is no JSON")
  assert(json.encode(copy[1]) == once, "written and read again, it is another value")
  local pretty = json.encode(value, { pretty = true })
  assert(json.encode((json.decode(pretty))) == once, "written for people, it is another value")
end

return function(bytes)
  again(bytes)
  for line in bytes:gmatch "[^\n]+" do again(line) end
  local ok, text = pcall(json.encode, { bytes })
  assert(ok and json.decode(text), "bytes that cannot be written as a string")
end
