-- Values as text for the journal, and back.
--
-- JSON with marks, objects of one key: { "$bytes": base64 } for a string that is not UTF-8, {
-- "$pairs": [[key, value], …] } for a table that is neither a list nor has only names, and in
-- fingerprints { "$secret": name }, { "$function": "file:line" } and { "$float": text } for what
-- only its name may stand for.
local json = require "orch.json"
local secret = require "orch.secret"

local DEPTH_MAX <const> = 50
local VALUES_MAX <const> = 1000000

local NOTHING <const> = {}

local function bytes_mark(value) return { ["$bytes"] = require "orch.hash".base64(value) } end

-- "list": keys 1 … n; "names": texts that JSON can have as names and that are no marks; else
-- "pairs".
local function shape_of(value)
  local count, named = 0, true
  for key in next, value do
    count = count + 1
    named = named and type(key) == "string" and utf8.len(key) ~= nil
      and not key:find("^%$") and not key:find("\0", 1, true)
  end
  if count > 0 and count == #value then return "list" end
  return named and "names" or "pairs"
end

local function by_type_and_value(a, b)
  if type(a[1]) ~= type(b[1]) then return type(a[1]) < type(b[1]) end
  if type(a[1]) == "string" or type(a[1]) == "number" then return a[1] < b[1] end
  return tostring(a[1]) < tostring(b[1])
end

local marked

-- A table's parts with their marks; nil when one cannot be brought back.
local function marked_table(value, state, depth)
  if next(value) == nil then return NOTHING end
  local shape = shape_of(value)
  local copy = shape == "names" and {} or json.array {}
  local sorted = shape == "pairs" and {}
  for key, each in next, value do
    local inner = marked(each, state, depth + 1)
    if inner == nil then return nil end
    if shape == "pairs" then sorted[#sorted + 1] = { key, inner } else copy[key] = inner end
  end
  if shape ~= "pairs" then return copy end
  table.sort(sorted, by_type_and_value)
  for i, each in ipairs(sorted) do
    local key = marked(each[1], state, depth + 1)
    if key == nil then return nil end
    copy[i] = json.array { key, each[2] }
  end
  return { ["$pairs"] = copy }
end

local function named_mark(value)
  if secret.is(value) then return { ["$secret"] = secret.name(value) } end
  if type(value) == "function" then
    local info = debug.getinfo(value, "S")
    return { ["$function"] = ("%s:%d"):format(info.short_src, info.linedefined) }
  end
  if type(value) == "number" then return { ["$float"] = tostring(value) } end
  return { ["$" .. type(value)] = true }
end

-- The value with its marks; nil when it cannot be brought back (unless named, when a name will do).
function marked(value, state, depth)
  local kind = type(value)
  state.count = state.count + 1
  if kind == "string" then return utf8.len(value) and value or bytes_mark(value) end
  if kind == "boolean" or value == json.null then return value end
  if kind == "number" and value == value and math.abs(value) ~= math.huge then return value end
  if kind == "table" and depth < DEPTH_MAX and state.count < VALUES_MAX then
    return marked_table(value, state, depth)
  end
  return state.named and named_mark(value) or nil
end

--- The value as text, or nil when it holds what a record cannot bring back: secrets, functions,
--- objects, NaN, a table within itself.
---@param value any
---@return string?
local function encode(value)
  if value == nil then return "null" end
  local text = json.plain(value) -- as most are
  if text then return text end
  local plain = marked(value, { named = false, count = 0 }, 0)
  return plain ~= nil and json.encode(plain) or nil
end

local function name_of(value)
  if secret.is(value) then return "the secret " .. secret.name(value) end
  if type(value) == "number" then return "the number " .. tostring(value) end
  return "a " .. type(value)
end

local function blamed(value, place, state, depth)
  state.count = state.count + 1
  if type(value) ~= "table" then
    if marked(value, state, depth) == nil then return ("%s is %s"):format(place, name_of(value)) end
    return nil
  end
  if depth == DEPTH_MAX then return place .. " is a table in too many others, or in itself" end
  if state.count >= VALUES_MAX then return ("%s is one of too many values"):format(place) end
  for key, each in next, value do
    local inner = type(key) == "string" and place .. "." .. key
      or ("%s[%s]"):format(place, tostring(key))
    local found = blamed(key, "a name in " .. place, state, depth + 1)
      or blamed(each, inner, state, depth + 1)
    if found then return found end
  end
end

--- Why encode refuses a value: "outputs.list[2] is a function".
---@param value any
---@param place string how the value is called
---@return string? words nil when there is nothing to refuse
local function blame(value, place) return blamed(value, place, { named = false, count = 0 }, 0) end

local unmarked

local function from_pairs(list)
  local plain = {}
  for _, each in ipairs(list) do plain[unmarked(each[1])] = unmarked(each[2]) end
  return plain
end

function unmarked(value)
  if value == json.null then return nil end
  if type(value) ~= "table" then return value end
  if value["$bytes"] then return (assert(require "orch.hash".unbase64(value["$bytes"]))) end
  if value["$pairs"] then return from_pairs(value["$pairs"]) end
  local plain = {}
  for key, each in pairs(value) do plain[key] = unmarked(each) end
  return plain
end

--- What encode was given.
local function decode(text)
  local value, failure = json.decode(text, { values_max = #text + 1 }) -- our own
  if failure then error(failure, 0) end
  return unmarked(value)
end

--- A text that is the same for the same options in another process: secrets and functions by name.
---@param value table
---@return string
local function fingerprint(value)
  return json.plain(value) or json.encode(marked(value, { named = true, count = 0 }, 0))
end

return { encode = encode, blame = blame, decode = decode, fingerprint = fingerprint }
