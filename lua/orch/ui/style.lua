-- How things look on this terminal: colours unless NO_COLOR, signs that its character set has.
local UNICODE <const> = { success = "✓", failed = "✗", cancelled = "■", not_run = "·",
  recorded = "✓", hold = "?", waiting = "·", gutter = "│",
  into = " › ", between = " · ", full = "━", empty = "─", dots = "…",
  spinner = { "⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏" } }
local ASCII <const> = { success = "+", failed = "x", cancelled = "!", not_run = ".", recorded = "+",
  hold = "?", waiting = ".", gutter = "|",
  into = " > ", between = ", ", full = "#", empty = "-", dots = "...",
  spinner = { "|", "/", "-", "\\" } }

local CODES <const> = { bold = "1", dim = "2", red = "31", green = "32", yellow = "33",
  cyan = "36" }
local OF_STATE <const> = { success = "green", failed = "red", cancelled = "yellow", not_run = "dim",
  recorded = "dim",
  hold = "yellow", waiting = "dim" }

-- POSIX: the first of these that is set decides. None set says nothing, as in most containers.
local function is_utf8(env)
  for _, name in ipairs { "LC_ALL", "LC_CTYPE", "LANG" } do
    local value = env(name)
    if value and value ~= "" then return value:lower():find("utf%-?8") ~= nil end
  end
  return true
end

---@class orch.Style
---@field colours boolean
---@field signs table<string, any>
local Style = {}
Style.__index = Style

---@param env fun(name: string): string? os.getenv, as a rule
---@return orch.Style
local function new(env)
  local no_color = env "NO_COLOR"
  return setmetatable({ colours = no_color == nil or no_color == "",
    signs = is_utf8(env) and UNICODE or ASCII }, Style)
end

--- The text, whose own sequences are none, in a colour or weight.
function Style:paint(colour, text)
  if not self.colours or text == "" or colour == nil then return text end
  return ("\27[%sm%s\27[0m"):format(CODES[colour], text)
end

--- The sign of a state, in its colour.
function Style:mark(state) return self:paint(OF_STATE[state], self.signs[state]) end

--- The sign of what runs, by the time.
function Style:spinner(seconds)
  local frames = self.signs.spinner
  return self:paint("cyan", frames[math.floor(seconds * 10) % #frames + 1])
end

--- A bar of so many columns, filled to that share (0 to 1).
function Style:bar(share, columns)
  local full = math.floor(math.max(0, math.min(1, share)) * columns + 0.5)
  return self:paint("green", self.signs.full:rep(full))
    .. self:paint("dim", self.signs.empty:rep(columns - full))
end

return { new = new }
