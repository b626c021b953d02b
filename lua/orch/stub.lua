-- Verbs as an editor stub: LuaLS then completes their options and finds a wrong one.
local TYPES <const> = { string = "string|orch.Secret", integer = "integer", number = "number",
  boolean = "boolean",
  list = "any[]", table = "table", ["function"] = "function", secret = "orch.Secret", any = "any" }

local function type_of(option)
  local parts = {}
  if option.enum then
    for i, value in ipairs(option.enum) do
      parts[i] = type(value) == "string" and ("%q"):format(value) or tostring(value)
    end
  else
    for each in option.type:gmatch("[^|]+") do parts[#parts + 1] = TYPES[each] end
  end
  return table.concat(parts, "|")
end

local function default_of(option)
  local value = option.default
  if value == nil then return option.doc or "" end
  local text = type(value) == "table" and (next(value) and "a table" or "{}")
    or type(value) == "string" and ("%q"):format(value) or tostring(value)
  return ("default %s%s"):format(text, option.doc and "; " .. option.doc or "")
end

local function add_verb(lines, name, verb, doc)
  local schema = verb.schema
  local class = "orch.verb." .. name
  lines[#lines + 1] = ""
  lines[#lines + 1] = ("---@class (exact) %s"):format(class)
  for _, each in ipairs(schema.names) do
    local option = schema.options[each]
    -- A positional one may be given without its name.
    local optional = option.optional or each == schema.positional
    lines[#lines + 1] = ("---@field %s%s %s %s"):format(each, optional and "?" or "",
      type_of(option), default_of(option))
      :gsub("%s+$", "")
  end
  local argument = class
  if schema.positional then
    local positional = type_of(schema.options[schema.positional])
    lines[#lines + 1] = ("---@field [integer]? %s %s"):format(positional, schema.positional)
    argument = ("%s|%s"):format(class, positional)
  end
  lines[#lines + 1] = "---@field [string] orch.UnknownOption"
  return ("---@field %s fun(self: orch.Job, options?: %s): %s %s"):format(name, argument,
    verb.returns or "any", doc)
end

--- The stub of all verbs that a finder finds.
---@param finder table
---@param doc_of fun(name: string): string
---@return string
local function write(finder, doc_of)
  local lines = { "---@meta", "",
    "-- Written by `orch verbs --stub`; a spec compares it with the verbs." }
  local methods = {}
  for _, name in ipairs(finder:names()) do
    methods[#methods + 1] = add_verb(lines, name, finder:find(name), doc_of(name))
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "---@class orch.Job"
  table.move(methods, 1, #methods, #lines + 1, lines)
  return table.concat(lines, "\n") .. "\n"
end

return { write = write }
