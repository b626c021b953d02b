-- Values that only a run can tell. A plan may join, print and index them; to decide on one ends the job's plan.
local error_value = require "orch.error"

local INDEX_MAX <const> = 1000

local Unknown = {}

local labels = setmetatable({}, { __mode = "k" })

-- As a person reads it: ‹pipeline.number›; joined ones keep their known parts.
local function new(label, text)
  local value = setmetatable({}, Unknown)
  labels[value] = { label = label, text = text or ("‹%s›"):format(label) }
  return value
end

local function is(value) return getmetatable(value) == Unknown end

local function caller()
  for level = 3, 40 do
    local info = debug.getinfo(level, "Sl")
    if not info then return nil end
    if info.what ~= "C" and not info.source:find("^@lua/orch/") and not info.source:find("/lua/orch/", 1, true) then
      return ("%s:%d"):format(info.short_src, info.currentline)
    end
  end
end

local function decided(value)
  error(error_value.new { kind = "usage", decided = true, where = caller(),
    message = ("decided at run time, on %s"):format(tostring(value)) }, 0)
end

function Unknown.__concat(a, b) return new("text", tostring(a) .. tostring(b)) end

function Unknown.__tostring(value) return labels[value].text end

-- Without a ceiling ipairs would never end.
function Unknown.__index(value, key)
  if math.type(key) == "integer" and key > INDEX_MAX then decided(value) end
  return new(("%s.%s"):format(labels[value].label, tostring(key)))
end

for _, event in ipairs { "call", "len", "lt", "le", "add", "sub", "mul", "div", "mod", "pow", "unm", "idiv", "band",
  "bor", "bxor", "bnot", "shl", "shr", "newindex", "pairs", "eq" } do
  Unknown["__" .. event] = function(a, b) decided(is(a) and a or b) end
end

--- Ends the job's plan when the value is unknown.
local function refuse(value)
  if is(value) then decided(value) end
end

return { new = new, is = is, refuse = refuse }
