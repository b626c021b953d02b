-- Values as text for the journal, and back.
--
-- JSON with two marks: { "$bytes": base64 } for a string that is not UTF-8, and in fingerprints
-- { "$secret": name } and { "$function": "file:line" } for what only its name may stand for.
local json = require "orch.json"
local secret = require "orch.secret"

local DEPTH_MAX <const> = 50

local function bytes_mark(value) return { ["$bytes"] = require "orch.hash".base64(value) } end

-- The value with its marks; nil when it cannot be brought back (unless named, when a name will do).
local function marked(value, named, depth)
  local kind = type(value)
  if kind == "string" then return utf8.len(value) and value or bytes_mark(value) end
  if kind == "number" or kind == "boolean" or kind == "nil" or value == json.null then return value end
  if kind == "table" and depth < DEPTH_MAX then
    local copy = #value > 0 and json.array {} or {}
    for key, each in pairs(value) do
      local inner = marked(each, named, depth + 1)
      if inner == nil then return nil end
      if #value == 0 then key = tostring(key) end
      copy[key] = inner
    end
    return copy
  end
  if not named then return nil end
  if secret.is(value) then return { ["$secret"] = secret.name(value) } end
  if kind == "function" then
    local info = debug.getinfo(value, "S")
    return { ["$function"] = ("%s:%d"):format(info.short_src, info.linedefined) }
  end
  return { ["$" .. kind] = true }
end

--- The value as text, or nil when it holds what a record cannot bring back: secrets, functions, objects.
---@param value any
---@return string?
local function encode(value)
  if value == nil then return "null" end
  local good, text = pcall(function()
    local plain = marked(value, false, 0)
    return plain ~= nil and json.encode(plain) or nil
  end)
  return good and text or nil
end

local function unmarked(value)
  if value == json.null then return nil end
  if type(value) ~= "table" then return value end
  local bytes = value["$bytes"]
  if bytes and next(value, next(value)) == nil then return (assert(require "orch.hash".unbase64(bytes))) end
  local plain = {}
  for key, each in pairs(value) do plain[key] = unmarked(each) end
  return plain
end

--- What encode was given.
local function decode(text) return unmarked(assert(json.decode(text))) end

--- A text that is the same for the same options in another process: secrets and functions by name.
---@param value table
---@return string
local function fingerprint(value) return json.encode(marked(value, true, 0)) end

return { encode = encode, decode = decode, fingerprint = fingerprint }
