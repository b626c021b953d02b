-- Values that only a run can tell. A plan may join, print and index them, and make texts and
-- numbers of them; to decide on one ends the job's plan.
local error_value = require "orch.error"
local plan_memory = require "orch.plan_memory"

local INDEX_MAX <const> = 1000
local TERM_MAX <const> = 200 -- bytes of what is reckoned with

local Unknown = {}

local labels = setmetatable({}, { __mode = "k" })

local function caller()
  for level = 3, 40 do
    local info = debug.getinfo(level, "Sl")
    if not info then return nil end
    if info.what ~= "C" and not info.source:find("^@lua/orch/")
      and not info.source:find("/lua/orch/", 1, true) then
      return ("%s:%d"):format(info.short_src, info.currentline)
    end
  end
end

-- As a person reads it: ‹pipeline.number›; joined ones keep their known parts.
local function new(label, text)
  plan_memory.check(caller)
  local value = setmetatable({}, Unknown)
  labels[value] = { label = label, text = text or ("‹%s›"):format(label) }
  return value
end

local function is(value) return getmetatable(value) == Unknown end

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

for _,
  event in ipairs { "len", "lt", "le", "band", "bor", "bxor", "bnot", "shl", "shr", "newindex",
  "pairs", "eq" } do
  Unknown["__" .. event] = function(a, b) decided(is(a) and a or b) end
end

-- A number that a loop counts up would otherwise tell of each round.
local function term(value)
  local text = is(value) and labels[value].label or tostring(value)
  return #text <= TERM_MAX and text or "…"
end

for event,
  sign in pairs { add = "+", sub = "-", mul = "*", div = "/", mod = "%", pow = "^", idiv = "//" } do
  Unknown["__" .. event] = function(a, b)
    return new(("%s %s %s"):format(term(a), sign, term(b)))
  end
end

function Unknown.__unm(value) return new("-" .. term(value)) end

-- Functions that make a text or a number of theirs, and decide nothing.
local MAKES <const> = { match = true, gsub = true, sub = true, lower = true, upper = true,
  rep = true, reverse = true,
  find = true, byte = true, len = true, format = true, tonumber = true, type = true, floor = true,
  ceil = true, abs = true, max = true,
  min = true, tointeger = true, fmod = true }

-- As many results as the function would have, as far as its arguments tell.
local function made(value, name, pattern)
  local result, count = new(("%s:%s"):format(labels[value].label, name)), 1
  if name == "match" and type(pattern) == "string" then
    count = math.max(1, select(2, pattern:gsub("%%.", ""):gsub("%(", "")))
  elseif name == "gsub" or name == "find" then
    count = 2
  end
  if count == 1 then return result end
  local results = { result }
  for i = 2, count do results[i] = new(("%s:%s %d"):format(labels[value].label, name, i)) end
  return table.unpack(results)
end

-- text:match("…") and its like; any other call decides.
function Unknown.__call(f, value, ...)
  local name = is(value)
    and labels[f].label:match("^" .. labels[value].label:gsub("%W", "%%%0") .. "%.([%a_]+)$")
  if name and MAKES[name] then return made(value, name, (...)) end
  decided(f)
end

local ARGUMENTS_MAX <const> = 4 -- that are looked at

--- A function of Lua's library, which an unknown argument makes an unknown result of.
---@param name string
---@param f function
local function tolerant(name, f)
  if not MAKES[name] or name == "format" then return f end
  return function(...)
    for i = 1, math.min(select("#", ...), ARGUMENTS_MAX) do
      local value = select(i, ...)
      if is(value) then return made(value, name, (select(i + 1, ...))) end
    end
    return f(...)
  end
end

--- Ends the job's plan when the value is unknown.
local function refuse(value)
  if is(value) then decided(value) end
end

--- The value; an unknown one ends the job's plan.
local function known(value)
  if is(value) then decided(value) end
  return value
end

return { new = new, is = is, refuse = refuse, tolerant = tolerant, known = known }
