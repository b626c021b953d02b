-- A line of a daemon's account of a build, push, pull or load: JSON, and of the shape that its
-- readers rely on.
local error_value = require "orch.error"
local json = require "orch.json"

local TRACE <const> = "moby.buildkit.trace"

local SHAPE <const> = {
  status = "string", id = "string", stream = "string", progress = "string", error = "string",
  errorDetail = { message = "string" }, progressDetail = { current = "number", total = "number" },
}

-- The name of the first field that is of another type; a null is as good as none.
local function wrong(value, shape)
  for name, wanted in pairs(shape) do
    local field = value[name]
    if field == json.null then
      value[name] = nil
    elseif field ~= nil then
      local table_wanted = type(wanted) == "table"
      if type(field) ~= (table_wanted and "table" or wanted) then return name end
      local inner = table_wanted and wrong(field, wanted)
      if inner then return name .. "." .. inner end
    end
  end
end

-- A trace is bytes as Base64, any other aux an object.
local function wrong_aux(value)
  if value.id == TRACE then return type(value.aux) ~= "string" and "aux" or nil end
  return type(value.aux) == "table" and wrong(value, { aux = { ID = "string", Digest = "string" } })
end

--- The line as a table; nil and an error of kind "remote" for what a daemon never says.
---@param op string
---@param text string
---@return table? line
---@return orch.error? err
local function decode(op, text)
  local value, failure = json.decode(text)
  local why
  if type(value) ~= "table" then
    why = "a line that is no JSON object" .. (failure and ": " .. failure.message or "")
  else
    local field = wrong(value, SHAPE) or wrong_aux(value)
    if not field then return value end
    why = ("a line whose '%s' is not what it should be"):format(field)
  end
  return nil, error_value.new { kind = "remote", op = op,
    message = ("%s: the daemon sent %s"):format(op, why) }
end

return { decode = decode }
