-- Marks where a program decides. Lua asks no metamethod for `x == "text"` or `if x then`: so that a
-- plan finds the unknown values on which a body decides, each operand of == ~= and or not, each
-- condition, index and bound of a loop is handed to a function first, on the line where it stands.

local NAME <const> = "__decide_on" -- of that function, in the program's environment

-- --- words ---------------------------------------------------------------------------------------

local RESERVED <const> = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true
until while]]):gmatch("%a+") do RESERVED[word] = true end

local SIGNS <const> = { "^%.%.%.", "^%.%.", "^==", "^~=", "^<=", "^>=", "^//", "^::", "^<<", "^>>",
  "^[^%w%s]" }

-- Where a long string or comment that begins there ends; nil when none does.
local function long_end(text, at)
  local level = text:match("^%[(=*)%[", at)
  return level and select(2, text:find("]" .. level .. "]", at, true))
end

local function short_end(text, at)
  local quote, stop = text:sub(at, at), at + 1
  while text:sub(stop, stop) ~= quote do stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1) end
  return stop
end

local function number_end(text, at)
  local hex = text:find("^0[xX]", at) and "[pP]" or "[eE]"
  local stop = at
  while text:find("^[%w.]", stop) or text:find("^[+-]", stop) and text:find("^" .. hex, stop - 1) do
    stop = stop + 1
  end
  return stop - 1
end

local function sign_end(text, at)
  for _, each in ipairs(SIGNS) do
    local _, stop = text:find(each, at)
    if stop then return stop end
  end
end

-- The kind of the word that begins there, and its last byte.
local function word_at(text, at)
  local _, stop = text:find("^[%a_][%w_]*", at)
  if stop then return RESERVED[text:sub(at, stop)] and "sign" or "name", stop end
  if text:find("^%.?%d", at) then return "literal", number_end(text, at) end
  if text:find("^[\"']", at) then return "literal", short_end(text, at) end
  stop = long_end(text, at)
  if stop then return "literal", stop end
  return "sign", sign_end(text, at)
end

-- { text, kind, first, last } of each word, comments left out; a last one says "end of text".
local function words_of(text)
  local words, at = {}, 1
  while true do
    at = text:find("%S", at)
    if not at then break end
    if text:find("^%-%-", at) then
      at = (long_end(text, at + 2) or (text:find("\n", at, true) or #text + 1) - 1) + 1
    else
      local kind, last = word_at(text, at)
      words[#words + 1] = { text = text:sub(at, last), kind = kind, first = at, last = last }
      at = last + 1
    end
  end
  words[#words + 1] = { text = "end of text", kind = "sign" }
  return words
end

-- --- the grammar ---------------------------------------------------------------------------------
--
-- Of a text that is known to be right: only where its expressions begin and end is looked for.

local Reader = {}
Reader.__index = Reader

function Reader:sees(text)
  local word = self.words[self.at]
  return word.text == text and word.kind == "sign"
end

function Reader:skip(count) self.at = self.at + (count or 1) end

function Reader:take(text)
  local seen = self:sees(text)
  if seen then self:skip() end
  return seen
end

-- Has the words from first to last handed over; a literal decides nothing.
function Reader:mark(first, last)
  if first == last and self.words[first].kind == "literal" then return end
  self.opened[first], self.closed[last] = (self.opened[first] or 0) + 1,
    (self.closed[last] or 0) + 1
end

local LEFT <const> = { ["or"] = 1, ["and"] = 2, ["<"] = 3, [">"] = 3, ["<="] = 3, [">="] = 3,
  ["~="] = 3, ["=="] = 3,
  ["|"] = 4, ["~"] = 5, ["&"] = 6, ["<<"] = 7, [">>"] = 7, [".."] = 9, ["+"] = 10, ["-"] = 10,
  ["*"] = 11, ["/"] = 11,
  ["//"] = 11, ["%"] = 11, ["^"] = 14 }
local RIGHT <const> = { [".."] = 8, ["^"] = 13 }
local UNARY <const> = { ["not"] = true, ["-"] = true, ["#"] = true, ["~"] = true }
local UNARY_LEVEL <const> = 12

function Reader:body()
  while not self:take(")") do self:skip() end
  self:block()
  self:skip()
end

function Reader:table()
  self:skip()
  while not self:take("}") do
    if self:take("[") then
      self:expression()
      self:skip(2)
    elseif self.words[self.at].kind == "name" and self.words[self.at + 1].text == "=" then
      self:skip(2)
    end
    self:expression()
    if not self:take(",") then self:take(";") end
  end
end

function Reader:list()
  repeat self:expression() until not self:take(",")
end

-- After a name or a call; false when nothing follows that belongs to it.
function Reader:suffix()
  if self:sees(".") or self:sees(":") then
    self:skip(2)
  elseif self:take("[") then
    self:mark(self:expression())
    self:skip()
  elseif self:take("(") then
    if not self:sees(")") then self:list() end
    self:skip()
  elseif self:sees("{") then
    self:table()
  elseif self.words[self.at].kind == "literal" and not self.words[self.at].text:find("^[%d.]") then
    self:skip()
  else
    return false
  end
  return true
end

function Reader:suffixed()
  if self:take("(") then self:expression() end
  self:skip()
  while self:suffix() do end
end

function Reader:simple()
  local word = self.words[self.at]
  if self:take("function") then return self:body() end
  if self:sees("{") then return self:table() end
  if word.kind == "name" or self:sees("(") then return self:suffixed() end
  self:skip() -- a literal, nil, true, false, ...
end

--- Reads an expression; the numbers of its first and last words.
function Reader:expression(limit)
  local first = self.at
  local sign = self.words[first]
  if sign.kind == "sign" and UNARY[sign.text] then
    self:skip()
    local from, to = self:expression(UNARY_LEVEL)
    if sign.text == "not" then self:mark(from, to) end
  else
    self:simple()
  end
  while true do
    local last, sign_text = self.at - 1,
      self.words[self.at].kind == "sign" and self.words[self.at].text
    local level = LEFT[sign_text]
    if not level or level <= (limit or 0) then return first, last end
    self:skip()
    local from, to = self:expression(RIGHT[sign_text] or level)
    if sign_text == "and" or sign_text == "or" then
      self:mark(first, last)
    elseif sign_text == "==" or sign_text == "~=" then
      self:mark(first, last)
      self:mark(from, to)
    end
  end
end

local statements = {}

statements["while"] = function(self)
  self:mark(self:expression())
  self:skip()
  self:block()
  self:skip()
end

statements["repeat"] = function(self)
  self:block()
  self:skip()
  self:mark(self:expression())
end

statements["if"] = function(self)
  repeat
    self:mark(self:expression())
    self:skip()
    self:block()
  until not self:take("elseif")
  if self:take("else") then self:block() end
  self:skip()
end

statements["for"] = function(self)
  local counts = self.words[self.at + 1].text == "="
  while not self:take("=") and not self:take("in") do self:skip() end
  repeat
    local first, last = self:expression()
    if counts then self:mark(first, last) end
  until not self:take(",")
  self:skip()
  self:block()
  self:skip()
end

statements["do"] = function(self)
  self:block()
  self:skip()
end

statements["function"] = function(self)
  while not self:take("(") do self:skip() end
  self:body()
end

statements["local"] = function(self)
  if self:take("function") then return statements["function"](self) end
  self:skip()
  while self:sees(",") or self:sees("<") do self:skip(self:sees("<") and 3 or 2) end
  if self:take("=") then self:list() end
end

statements["return"] = function(self)
  if not self:ends() and not self:sees(";") then self:list() end
end

statements["goto"] = function(self) self:skip() end
statements["::"] = function(self) self:skip(2) end
statements["break"] = function() end
statements[";"] = function() end

local ENDS <const> = { ["end"] = true, ["else"] = true, ["elseif"] = true, ["until"] = true,
  ["end of text"] = true }

function Reader:ends()
  local word = self.words[self.at]
  return word.kind == "sign" and ENDS[word.text]
end

function Reader:block()
  while not self:ends() do
    local word = self.words[self.at]
    local statement = word.kind == "sign" and statements[word.text]
    if statement then
      self:skip()
      statement(self)
    else
      repeat self:suffixed() until not self:take(",")
      if self:take("=") then self:list() end
    end
  end
end

--- The same program, in which what is decided on is handed to the function NAME first.
---@param text string a program without mistakes
---@return string
local function marked(text)
  local reader = setmetatable({ words = words_of(text), at = 1, opened = {}, closed = {} }, Reader)
  reader:block()
  local pieces, from = {}, 1
  for i, word in ipairs(reader.words) do
    local opened, closed = reader.opened[i], reader.closed[i]
    if opened then
      pieces[#pieces + 1] = text:sub(from, word.first - 1) .. (NAME .. "("):rep(opened)
      from = word.first
    end
    if closed then
      pieces[#pieces + 1] = text:sub(from, word.last) .. (")"):rep(closed)
      from = word.last + 1
    end
  end
  return table.concat(pieces) .. text:sub(from)
end

return { marked = marked, NAME = NAME }
