-- What to write in place of a value that an option table does not take.
local secret = require "orch.secret"

local SHOWN_MAX <const> = 60 -- bytes of a text that is repeated

-- As the recipe writes it; nil for what is too long, or has no short form.
local function written(value)
  if secret.is(value) then return nil end
  if type(value) == "number" or type(value) == "boolean" then return tostring(value) end
  if type(value) ~= "string" or #value > SHOWN_MAX or value:find("[%c\x7f-\xff]") then return nil end
  return ("%q"):format(value)
end

local function takes(option, name) return ("|%s|"):format(option.type):find("|" .. name .. "|", 1, true) end

local BOOLEANS <const> = { ["true"] = "true", yes = "true", on = "true", ["false"] = "false",
  no = "false", off = "false" }

--- The option with the value in the form that it takes, where that can be told.
---@param option { name: string, type: string }
---@return string?
local function of(option, value)
  local text, form = written(value), nil
  if not text then return nil end
  if takes(option, "list") then
    form = ("{ %s }"):format(text)
  elseif type(value) == "number" and takes(option, "string") then
    form = ("%q"):format(text)
  elseif type(value) == "string" and (takes(option, "number")
    or takes(option, "integer") and math.tointeger(tonumber(value))) then
    form = tonumber(value) and value
  elseif type(value) == "string" and takes(option, "boolean") then
    form = BOOLEANS[value:lower()]
  end
  return form and ("%s = %s"):format(option.name, form)
end

local function is_of(option, value)
  return type(value) == "string" and takes(option, "string")
    or type(value) == "number" and takes(option, "number")
end

--- A call with these bare values as the first options that must be given, where there are such.
---@param name string "orch.job", "job:write"
---@param schema table
---@return string?
local function call(name, schema, values)
  local fields, at = {}, 1
  for _, option in ipairs(schema.required) do
    local given = is_of(option, values[at]) and written(values[at])
    fields[#fields + 1] = ("%s = %s"):format(option.name, given or "…")
    if given then at = at + 1 end
  end
  if at <= #values then return nil end
  return ("%s { %s }"):format(name, table.concat(fields, ", "))
end

--- What was given, as an error says it.
local function given(value)
  if type(value) == "string" or type(value) == "number" or type(value) == "boolean" then
    return ("%s '%s'"):format(type(value), tostring(value))
  end
  return type(value)
end

return { of = of, call = call, given = given }
