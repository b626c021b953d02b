-- Files of shell exports, as jobs source them: `export NAME="value"`.
--
-- Understood: comments, `export`, continued lines, and values made of bare characters, 'single',
-- "double" and $'ansi' quotes, backslashes, and $NAME or ${NAME} of a variable set above. What only
-- a shell could decide (command substitution, other expansions, variables of its own, other
-- commands) is an error that names the line, never a guess.
local error_value = require "orch.error"

local ANSI <const> = { a = "\a", b = "\b", e = "\27", E = "\27", f = "\f", n = "\n", r = "\r",
  t = "\t", v = "\v",
  ["\\"] = "\\", ["'"] = "'", ['"'] = '"', ["?"] = "?" }

local Reader = {}
Reader.__index = Reader

function Reader:refuse(format, ...)
  local _, breaks = self.text:sub(1, self.at - 1):gsub("\n", "")
  error(error_value.new { kind = "usage",
    message = ("%s:%d: %s"):format(self.file, breaks + 1, format:format(...)),
    hint = "write it as export NAME='value', or source the file in a run step" }, 0)
end

function Reader:take(pattern)
  local from, to, capture = self.text:find("^" .. pattern, self.at)
  if not from then return nil end
  self.at = to + 1
  return capture or self.text:sub(from, to)
end

function Reader:blanks()
  repeat until not (self:take("[ \t]+") or self:take("\\\n"))
end

-- The value of a variable that has one.
function Reader:set_above(name)
  return self.values[name]
    or self:refuse("only a shell can tell what %s is: it is not set above", name)
end

-- After a '$': the value of a variable set above; a '$' that a shell takes as it is.
function Reader:variable()
  local name = self:take("([%a_][%w_]*)")
  while name and self:take("\\\n") do name = name .. self:take("[%w_]*") end -- a continued line
  name = name or self:take("{([%a_][%w_]*)}")
  if not name
    and (self.at > #self.text or self.text:find("^[%s%%%./,:;=+~%]}|&<>^\"]", self.at)) then
    return "$"
  end
  if not name then self:refuse("only a shell can expand this") end
  return self:set_above(name)
end

function Reader:double_quoted(out)
  while true do
    out[#out + 1] = self:take('[^"\\$`]+')
    if self:take('"') then return end
    if self.at > #self.text then self:refuse("a \" is never closed") end
    if self:take("`") then self:refuse("only a shell can run `…`") end
    if self:take("%$") then
      out[#out + 1] = self:variable()
    elseif not self:take("\\\n") and self:take("\\") then
      out[#out + 1] = self:take('[$`"\\]') or "\\"
    end
  end
end

-- After a backslash in $'…'.
function Reader:ansi_char()
  local hex = self:take("x(%x%x?)")
  local octal = not hex and self:take("[0-7][0-7]?[0-7]?")
  local point = not hex and not octal
    and (self:take("u(%x%x?%x?%x?)") or self:take("U(%x%x?%x?%x?%x?%x?%x?%x?)"))
  local code = hex and tonumber(hex, 16) or octal and tonumber(octal, 8) & 255 or point
    and tonumber(point, 16)
  if code == 0 then self:refuse("no variable can hold a NUL") end
  if point and (code > 0x10ffff or code >> 11 == 0x1b) then
    self:refuse("no character has the number %s", point)
  end
  if code then return point and utf8.char(code) or string.char(code) end
  if self:take("c") or self:take("x{") then self:refuse("only a shell can expand this") end
  local char = self:take(".") or ""
  return ANSI[char] or "\\" .. char
end

function Reader:ansi_quoted(out)
  while true do
    out[#out + 1] = self:take("[^'\\]+")
    if self:take("'") then return end
    if not self:take("\\") then self:refuse("a $' is never closed") end
    out[#out + 1] = self:ansi_char()
  end
end

-- One part of a word; false at its end: white space or the end of the command.
function Reader:part(out, first)
  local before = self.at - 1
  while self:take("\\\n") do end -- a continued line
  if self.text:find("^~", self.at) and (first or self.text:find("^[:=]", before)) then
    self:refuse("only a shell can expand ~")
  end
  local bare = self:take("[^%s%c'\"\\$`;&|<>(){:=~]+") or self:take("[:=~]")
  if bare then
    out[#out + 1] = bare
  elseif self:take("'") then
    out[#out + 1] = self:take("([^']*)'") or self:refuse("a ' is never closed")
  elseif self:take('"') then
    self:double_quoted(out)
  elseif self:take("%$'") then
    self:ansi_quoted(out)
  elseif self:take('%$"') then
    self:refuse("only a shell can translate $\"…\"")
  elseif self:take("%$") then
    out[#out + 1] = self:variable()
  elseif self:take("\\") then
    out[#out + 1] = self:take(".") or self:refuse("nothing follows the last backslash")
  elseif self.at > #self.text or self.text:find("^[ \t\n;]", self.at) then
    return false
  elseif self.text:find("^\r", self.at) then
    self:refuse("a line ends in CR LF, as on Windows")
  else
    self:refuse("only a shell can do this")
  end
  return true
end

function Reader:word()
  local out, first = {}, true
  while self:part(out, first) do first = false end
  return table.concat(out)
end

-- Assignments on one line. Those of export see the values as they were before all of them.
function Reader:command()
  local exported, assigned, count = self:take("export%f[ \t\\]"), {}, 0
  self:blanks()
  repeat
    local name = self:take("([%a_][%w_]*)=")
    if name then
      assigned[name] = self:word()
      if not exported then self.values[name] = assigned[name] end
    else
      name = exported and self:take("[%a_][%w_]*%f[ \t\n;\0]")
      if not name then self:refuse("expected NAME=value, or export NAME=value") end
      self:set_above(name)
    end
    count = count + 1
    self:blanks()
  until not self.text:find("^[^\n;#]", self.at)
  for name, value in pairs(assigned) do self.values[name] = value end
  return assigned, count
end

-- Reads all; place[NAME] = { from, to } of the line that sets it last, if that line does nothing
-- else.
local function read(text, file)
  local reader = setmetatable({ text = text, file = file, at = 1, values = {}, place = {} }, Reader)
  if text:find("\0", 1, true) then reader:refuse("a file of variables holds no NUL") end
  local at_line_start = true
  while true do
    reader:blanks()
    if reader:take("#[^\n]*") then reader:blanks() end
    if reader.at > #text then return reader end
    if reader:take("\n") then
      at_line_start = true
    else
      local from = reader.at
      local assigned, count = reader:command()
      local alone = at_line_start and count == 1 and text:find("^\n", reader.at)
      for name in pairs(assigned) do
        reader.place[name] = alone and { from = from, to = reader.at } or nil
      end
      at_line_start = false
      if reader:take(";") and text:find("^[ \t]*;", reader.at) then
        reader:refuse("only a shell can do this")
      end
    end
  end
end

--- The variables that sourcing the text would set.
---@param text string
---@param file string for messages
---@return table<string, string>
local function parse(text, file) return read(text, file).values end

local function quoted(value)
  if value:find("^[%w_./:@%%+,=-]+$") then return value end
  return "'" .. value:gsub("'", "'\\''") .. "'"
end

local function checked_names(values, file)
  local function refuse(format, ...)
    error(error_value.new { kind = "usage", message = file .. ": " .. format:format(...) }, 0)
  end
  local names = {}
  for name, value in pairs(values) do
    if type(name) ~= "string" or not name:match("^[%a_][%w_]*$") then
      refuse("'%s' is no name of a variable", tostring(name))
    end
    if type(value) ~= "string" and type(value) ~= "number" then
      refuse("'%s' must be a string or number, got %s", name, type(value))
    end
    if tostring(value):find("\0", 1, true) then refuse("'%s': no variable can hold a NUL", name) end
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

--- The text with these variables set: a line that only sets one is replaced, others are added at
--- the end, so that doing it twice is doing it once.
---@param text string
---@param values table<string, string|number>
---@param file string
---@return string
local function set(text, values, file)
  local names = checked_names(values, file)
  if text ~= "" and text:sub(-1) ~= "\n" then text = text .. "\n" end
  -- a last line that goes on would go on with ours
  if text:sub(-2) == "\\\n" then text = text .. "\n" end
  for _, name in ipairs(names) do
    local line = ("export %s=%s\n"):format(name, quoted(tostring(values[name])))
    local place = read(text, file).place[name]
    text = place and text:sub(1, place.from - 1) .. line .. text:sub(place.to + 1) or text .. line
  end
  return text
end

return { parse = parse, set = set }
