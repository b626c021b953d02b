-- Typed option tables: what verbs, jobs and parameters declare, checked in one place.
local declaration = require "orch.declaration"
local error_value = require "orch.error"
local nearest = require "orch.nearest"
local secret = require "orch.secret"
local shape = require "orch.shape"
local unknown = require "orch.unknown"

local is_list <const>, usage <const> = declaration.is_list, declaration.usage

-- The same, with what to do about it, if that is known.
local function advise(hint, format, ...)
  error(error_value.new { kind = "usage", message = format:format(...), hint = hint or nil }, 0)
end

local FIRST <const> = "what it takes comes first, without a name: job:%s { … }"

local Schema = {}
Schema.__index = Schema

--- Reads a table of declarations; a mistake in it raises.
---@param declared table<string, string|table>
---@param positional? string the option that a bare value or the list part of the table stands for
---@param advice? table<string, string> what to write in place of an option that there is not, or of another type
local function schema(declared, positional, advice)
  local self = setmetatable({ options = {}, names = {}, defaults = {}, required = {},
    positional = positional, advice = advice or {} }, Schema)
  for name, value in pairs(declared) do
    local option = declaration.parse(name, value)
    if option.default ~= nil then
      self:check_value(("the default of '%s'"):format(name), option, option.default)
    end
    self.options[name] = option
    self.names[#self.names + 1] = name
  end
  table.sort(self.names)
  if positional and not self.options[positional] then
    usage("positional: there is no option '%s'%s", positional, nearest.hint(positional, self.names))
  end
  for _, name in ipairs(self.names) do
    local option = self.options[name]
    local list = option.default ~= nil and self.defaults or not option.optional and self.required
    if list then list[#list + 1] = option end
  end
  return self
end

local function words(option)
  local list = {}
  for i, each in ipairs(option.types) do list[i] = each[2] end
  return table.concat(list, " or ")
end

-- The pattern for the whole text; its author may have said so.
local function whole(pattern)
  local anchored = pattern:match("(%%*)%$$")
  return (pattern:sub(1, 1) == "^" and "" or "^") .. pattern
    .. (anchored and #anchored % 2 == 0 and "" or "$")
end

-- What a declaration asks beyond the type: one of some values, a range, a Lua pattern for the whole
-- text.
local function check_rules(what, option, value, advice)
  if not option.ruled or unknown.is(value) then return end
  local function refuse(rule)
    advise(advice, "%s: '%s' must be %s, got '%s'", what, option.name, rule, tostring(value))
  end
  if option.enum and not nearest.contains(option.enum, value) then
    refuse("one of " .. table.concat(option.enum, ", "))
  end
  if option.min and value < option.min then refuse("at least " .. option.min) end
  if option.max and value > option.max then refuse("at most " .. option.max) end
  if option.pattern and not tostring(value):find(whole(option.pattern)) then
    refuse(("like the pattern %s"):format(option.pattern))
  end
end

function Schema:check_value(what, option, value)
  for _, each in ipairs(option.types) do
    if each[1](value) then return check_rules(what, option, value, self.advice[option.name]) end
  end
  local hidden = option.type == "secret" or secret.is(value)
  advise(self.advice[option.name] or shape.of(option, value),
    "%s: option '%s' must be %s, got %s", what, option.name, words(option),
    hidden and type(value) or shape.given(value))
end

-- Values without a name, where none can stand so.
function Schema:refuse_bare(what, values, told)
  local call = what:find("^orch%.") and what or what:find("^[%a_][%w_]*$") and "job:" .. what or ""
  advise(shape.call(call, self, values), "%s: %s%s", what, told, nearest.hint("", self.names))
end

-- { "make", "test" } gives the positional option the list, { "make" } and "make" the one value.
function Schema:spread(what, given)
  if given == nil then return {} end
  if type(given) ~= "table" or secret.is(given) or unknown.is(given) then
    if self.positional then return { [self.positional] = given } end
    self:refuse_bare(what, { given }, "expected a table of options, got " .. type(given))
  end
  local spread, list = {}, nil
  for key, value in pairs(given) do
    if math.type(key) == "integer" then
      list = list or {}
      list[key] = value
    else
      spread[key] = value
    end
  end
  if list then
    if not self.positional then
      self:refuse_bare(what, list, ("a %s stands without a name"):format(type(select(2, next(list)))))
    end
    if not is_list(list) then usage("%s: the list of '%s' has holes", what, self.positional) end
    if spread[self.positional] ~= nil then
      usage("%s: option '%s' is given twice", what, self.positional)
    end
    spread[self.positional] = #list == 1 and list[1] or list
  end
  return spread
end

-- So that no caller changes the default of the others.
local function own_copy(default)
  if type(default) ~= "table" or getmetatable(default) then return default end
  local copy = {}
  for key, value in next, default do copy[key] = value end
  return copy
end

-- Tells of the first, in the order of their names, whatever order the table has them in.
local function refuse_unknown(self, what, checked)
  local strange
  for key in pairs(checked) do
    if not self.options[key] and not (strange and strange < tostring(key)) then
      strange = tostring(key)
    end
  end
  local advice = self.advice[strange] or self.positional and strange == what and FIRST:format(what)
  advise(advice, "%s: unknown option '%s'%s", what, strange,
    nearest.hint(advice and "" or strange, self.names, true))
end

-- A value of one of the types, of which no more is asked.
local function is_plainly_good(option, value)
  if option.ruled then return false end
  for i = 1, #option.types do
    if option.types[i][1](value) then return true end
  end
  return false
end

--- Checks what a caller gave; returns a new table with the defaults filled in.
---@param what string who asks, for the message: "docker_build"
---@param given any
function Schema:check(what, given)
  local checked, doubtful = self:spread(what, given), nil
  for name, value in next, checked do
    local option = self.options[name]
    if not option then refuse_unknown(self, what, checked) end
    doubtful = doubtful or not is_plainly_good(option, value)
  end
  for _, name in ipairs(doubtful and self.names or {}) do
    if checked[name] ~= nil then self:check_value(what, self.options[name], checked[name]) end
  end
  for i = 1, #self.required do
    local option = self.required[i]
    if checked[option.name] == nil then
      usage("%s: option '%s' is missing (%s)", what, option.name, words(option))
    end
  end
  for i = 1, #self.defaults do
    local option = self.defaults[i]
    local name = option.name
    if checked[name] == nil then checked[name] = own_copy(option.default) end
  end
  return checked
end

local TRUE <const> = { ["true"] = true, yes = true, on = true, ["1"] = true }
local FALSE <const> = { ["false"] = true, no = true, off = true, ["0"] = true }

-- A text from the command line as a value of the option's type; nil when it is none.
local function from_text(option, text)
  local name = option.type
  for _, each in ipairs(name == "enum" and option.enum or {}) do
    if tostring(each) == text then return each end
  end
  if name == "integer" then return math.tointeger(tonumber(text)) end
  if name == "number" then return tonumber(text) end
  if name == "boolean" then
    if TRUE[text:lower()] then return true end
    if FALSE[text:lower()] then return false end
    return nil
  end
  if name == "list" then
    local list = {}
    for each in text:gmatch("[^,]+") do list[#list + 1] = each end
    return list
  end
  return text
end

--- A text, as it comes from a command line, as a value of the option's type; raises when it is
--- none.
function Schema:from_text(what, name, text)
  local value = from_text(self.options[name], text)
  if value == nil then
    usage("%s: '%s' must be %s, got '%s'", what, name, words(self.options[name]), text)
  end
  return value
end

return { schema = schema, usage = usage }
