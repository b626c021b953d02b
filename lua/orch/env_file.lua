-- Files of shell exports, as jobs source them: `export NAME="value"`.
--
-- Understood: comments, `export`, and values made of bare characters, 'single', "double" and $'ansi'
-- quotes, backslashes, and $NAME or ${NAME} of a variable set above. What only a shell could decide (command
-- substitution, other expansions, several commands) is an error that names the line, never a guess.
local error_value = require "orch.error"

local function refuse(file, number, format, ...)
  error(error_value.new { kind = "usage",
    message = ("%s:%d: %s"):format(file, number, format:format(...)),
    hint = "write it as export NAME='value', or source the file in a run step" }, 0)
end

local ANSI <const> = { a = "\a", b = "\b", e = "\27", f = "\f", n = "\n", r = "\r", t = "\t", v = "\v",
  ["\\"] = "\\", ["'"] = "'", ['"'] = '"', ["?"] = "?" }

local Reader = {}
Reader.__index = Reader

function Reader:line()
  local _, breaks = self.text:sub(1, self.at - 1):gsub("\n", "")
  return breaks + 1
end

function Reader:refuse(...) refuse(self.file, self:line(), ...) end

function Reader:take(pattern)
  local from, to, capture = self.text:find("^" .. pattern, self.at)
  if not from then return nil end
  self.at = to + 1
  return capture or self.text:sub(from, to)
end

-- After a '$': the value of a variable set above.
function Reader:variable()
  local name = self:take("([%a_][%w_]*)") or self:take("{([%a_][%w_]*)}")
  if not name then self:refuse("only a shell can expand this") end
  return self.values[name] or ""
end

function Reader:double_quoted(out)
  while true do
    out[#out + 1] = self:take('[^"\\$`]+')
    if self:take('"') then return end
    if self:take("`") then self:refuse("only a shell can run `…`") end
    if self:take("%$") then
      out[#out + 1] = self:variable()
    elseif self:take("\\\n") then -- a continued line
      out[#out + 1] = ""
    elseif self:take("\\") then
      out[#out + 1] = self:take('[$`"\\]') or "\\"
    elseif self.at > #self.text then
      self:refuse("a \" is never closed")
    end
  end
end

function Reader:ansi_quoted(out)
  while true do
    out[#out + 1] = self:take("[^'\\]+")
    if self:take("'") then return end
    if not self:take("\\") then self:refuse("a $' is never closed") end
    local hex = self:take("x(%x%x?)")
    local octal = not hex and self:take("([0-7][0-7]?[0-7]?)")
    if hex or octal then
      out[#out + 1] = string.char(tonumber(hex or octal, hex and 16 or 8) & 255)
    else
      local char = self:take(".")
      out[#out + 1] = ANSI[char] or "\\" .. (char or "")
    end
  end
end

-- One word, up to white space or the end of the command.
function Reader:word()
  local out = {}
  while true do
    out[#out + 1] = self:take("[^%s'\"\\$`;&|<>()#]+")
    if self:take("'") then
      local quoted = self:take("([^']*)'")
      if not quoted then self:refuse("a ' is never closed") end
      out[#out + 1] = quoted
    elseif self:take('"') then
      self:double_quoted(out)
    elseif self:take("%$'") then
      self:ansi_quoted(out)
    elseif self:take("%$") then
      out[#out + 1] = self:variable()
    elseif self:take("\\\n") then
      out[#out + 1] = ""
    elseif self:take("\\") then
      out[#out + 1] = self:take(".") or ""
    elseif #out > 0 and self:take("#") then -- a comment begins only after white space
      out[#out + 1] = "#"
    elseif self:take("[`&|<>()]") then
      self:refuse("only a shell can do this")
    else
      return table.concat(out)
    end
  end
end

function Reader:command()
  self:take("export[ \t]+")
  local name = self:take("([%a_][%w_]*)=")
  if not name then self:refuse("expected NAME=value or export NAME=value") end
  self.values[name] = self:word()
  self:take("[ \t]*")
  if self.text:find("^[%a_]", self.at) and self.text:find("^[%a_][%w_]*=", self.at) then
    return self:command()
  end
end

local function read(text, file)
  return setmetatable({ text = text, file = file, at = 1, values = {} }, Reader)
end

--- The variables that sourcing the text would set.
---@param text string
---@param file string for messages
---@return table<string, string>
local function parse(text, file)
  local reader = read(text, file)
  while true do
    reader:take("[%s;]*")
    if reader.at > #text then return reader.values end
    if not reader:take("#[^\n]*") then
      reader:command()
      if reader.at <= #text and not reader:take("[ \t]+#[^\n]*") and not reader:take("[ \t]*[\n\r;]") then
        reader:refuse("unexpected '%s'", reader.text:sub(reader.at, reader.at + 9):match("^[^\n]*"))
      end
    end
  end
end

local function quoted(value)
  if value:find("^[%w_./:@%%+,=-]+$") then return value end
  return "'" .. value:gsub("'", "'\\''") .. "'"
end

--- The text with these variables set: a line that sets one is replaced, others are added at the end, so
--- that doing it twice is doing it once.
---@param text string
---@param values table<string, string|number>
---@param file string
---@return string
local function set(text, values, file)
  local names = {}
  for name in pairs(values) do
    if not tostring(name):match("^[%a_][%w_]*$") then
      error(error_value.new { kind = "usage", message = ("%s: '%s' is no name of a variable"):format(file,
        tostring(name)) }, 0)
    end
    names[#names + 1] = name
  end
  table.sort(names)
  if text ~= "" and text:sub(-1) ~= "\n" then text = text .. "\n" end
  for _, name in ipairs(names) do
    local line = ("export %s=%s\n"):format(name, quoted(tostring(values[name])))
    local escaped = line:gsub("%%", "%%%%")
    local replaced, count = ("\n" .. text):gsub("(\n)export " .. name .. "=[^\n'\"\\]*\n", "%1" .. escaped)
    text = count > 0 and replaced:sub(2) or text .. line
  end
  return text
end

return { parse = parse, set = set }
