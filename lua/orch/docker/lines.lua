-- The lines of a daemon's account of a build, push, pull or load: JSON, and of the shape that their
-- readers rely on.
local error_value = require "orch.error"
local json = require "orch.json"

local LOST <const> = "is the daemon running? When it is, `orch resume` does this step again"
local LINE_MAX <const> = 16 * 1024 * 1024
local TRACE <const> = "moby.buildkit.trace"

local SHAPE <const> = {
  status = "string", id = "string", stream = "string", progress = "string", error = "string",
  errorDetail = { message = "string" }, progressDetail = { current = "integer", total = "integer" },
}

-- The name of the first field that is of another type; a null is as good as none.
local function wrong(value, shape)
  for name, wanted in pairs(shape) do
    local field = value[name]
    if field == json.null then
      value[name] = nil
    elseif field ~= nil then
      local table_wanted = type(wanted) == "table"
      if (math.type(field) or type(field)) ~= (table_wanted and "table" or wanted) then return name end
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

--- A function that waits for the next JSON line of a streamed reply: the value; nil at the end;
--- nil, err when the stream or the line broke.
---@param op string
---@param reply orch.http.reply
local function reader(op, reply)
  local held, at_end = "", false
  return function()
    while true do
      local stop = held:find("\n", 1, true)
      if stop or at_end then
        local line = held:sub(1, (stop or #held + 1) - 1)
        held = held:sub((stop or #held) + 1)
        if line:find("%S") then return decode(op, line) end
        if not stop then return nil end
      else
        local piece, failure = reply:read()
        if failure then
          failure.message = ("%s: %s"):format(op, failure.message)
          failure.hint = failure.hint or LOST
          return nil, failure
        end
        at_end = not piece
        held = held .. (piece or "")
        if #held > LINE_MAX then
          return nil,
            error_value.new { kind = "limit", op = op,
            message = op .. ": the daemon sent an endless line" }
        end
      end
    end
  end
end

--- Iterates over the JSON lines of a streamed reply; raises on a broken stream or line.
local function each(op, reply)
  local next_line = reader(op, reply)
  return function()
    local line, failure = next_line()
    if failure then error(failure, 0) end
    return line
  end
end

return { decode = decode, reader = reader, each = each, LOST = LOST }
