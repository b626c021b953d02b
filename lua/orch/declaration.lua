-- How an option is declared: its type, and what else is asked of its value.
local error_value = require "orch.error"
local nearest = require "orch.nearest"
local secret = require "orch.secret"
local unknown = require "orch.unknown"

local function is_list(value)
  if unknown.is(value) then return true end
  if type(value) ~= "table" then return false end
  local count = 0
  for key in pairs(value) do
    if math.type(key) ~= "integer" then return false end
    count = count + 1
  end
  return count == #value
end

-- A type's test, and the words that a person reads.
local types = {
  string = { function(v) return type(v) == "string" or secret.is(v) or unknown.is(v) end,
    "a string" },
  integer = { function(v) return math.type(v) == "integer" or unknown.is(v) end, "a whole number" },
  number = { function(v) return type(v) == "number" or unknown.is(v) end, "a number" },
  boolean = { function(v) return type(v) == "boolean" or unknown.is(v) end, "true or false" },
  list = { is_list, "a list" },
  table = { function(v) return type(v) == "table" end, "a table" },
  ["function"] = { function(v) return type(v) == "function" end, "a function" },
  secret = { function(v) return secret.is(v) or unknown.is(v) end,
    "a secret, as job.secrets.NAME is" },
  enum = { function(v) return type(v) ~= "table" or unknown.is(v) end, "one of its values" },
  any = { function() return true end, "a value" },
}

local TYPE_NAMES <const> = { "any", "boolean", "enum", "function", "integer", "list", "number",
  "secret", "string", "table" }

local function usage(format, ...)
  error(error_value.new { kind = "usage", message = format:format(...) }, 0)
end

local DECLARED <const> = { "default", "doc", "enum", "max", "min", "optional", "pattern" }

-- What contradicts itself in a declaration is its author's mistake, not that of who gives a value.
local function check_declaration(name, option, parsed)
  for key in pairs(option) do
    if key ~= 1 and not nearest.contains(DECLARED, key) then
      usage("option '%s': its declaration has no '%s'%s", name, tostring(key),
        nearest.hint(tostring(key), DECLARED))
    end
  end
  if parsed.type == "enum" and not parsed.enum then
    usage("option '%s': an enum names its values: { \"enum\", enum = { … } }", name)
  end
  if parsed.enum and not (is_list(parsed.enum) and parsed.enum[1] ~= nil) then
    usage("option '%s': enum must be a list of values", name)
  end
  for _, key in ipairs { "min", "max" } do
    local limit = parsed[key]
    if limit
      and (type(limit) ~= "number" or not parsed.type:find("^integer")
      and not parsed.type:find("^number")) then
      usage("option '%s': %s is a number, for an integer or a number", name, key)
    end
  end
  if parsed.min and parsed.max and parsed.min > parsed.max then
    usage("option '%s': min, %s, is more than max, %s", name, parsed.min, parsed.max)
  end
  if parsed.pattern and not pcall(string.find, "", parsed.pattern) then
    usage("option '%s': '%s' is no Lua pattern", name, tostring(parsed.pattern))
  end
end

-- "string?" is optional, "string|list" either; { "integer", default = 10, doc = "…" } has more to
-- say.
---@param name string
---@param declared string|table
local function parse(name, declared)
  local option = type(declared) == "table" and declared or { declared }
  local text = option[1]
  local parsed = { name = name, default = option.default, doc = option.doc, enum = option.enum,
    min = option.min,
    max = option.max, pattern = option.pattern, optional = option.default ~= nil or option.optional,
    types = {} }
  parsed.ruled = parsed.enum or parsed.min or parsed.max or parsed.pattern
  if type(text) ~= "string" then
    usage("option '%s' must begin with its type, as in { \"string\", default = … }", name)
  end
  if text:sub(-1) == "?" then
    parsed.optional = true
    text = text:sub(1, -2)
  end
  parsed.type = text
  for each in text:gmatch("[^|]+") do
    if not types[each] then
      usage("option '%s': unknown type '%s'%s", name, each, nearest.hint(each, TYPE_NAMES))
    end
    table.insert(parsed.types, types[each])
  end
  check_declaration(name, option, parsed)
  return parsed
end

return { parse = parse, is_list = is_list, usage = usage }
