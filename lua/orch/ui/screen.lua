-- A picture of what runs below the lines that stay. No mode of the terminal is changed beyond one
-- write, so a program that is killed leaves nothing to be restored: a frame ends with the cursor
-- shown where the picture begins, and whatever comes next clears from there. So a frame may be left
-- out, and the window be resized at any time.
local term = require "orch.term"

-- xterm's and DEC's private modes: 2026 shows all until its end at once (unknown ones are ignored),
-- 25 is the cursor, 7 wraps long lines.
local BEGIN <const> = "\27[?2026h\r"
local END <const> = "\27[?2026l"
local DRAW <const> = "\27[?25l\27[?7l"
local DRAWN <const> = "\27[?7h\27[?25h"
local CLEAR <const> = "\r\27[J"
local TO_END_OF_LINE <const> = "\27[K"

local Screen = {}
Screen.__index = Screen

---@param out orch.Spool
---@param fd integer the terminal
local function new(out, fd)
  local self = setmetatable({ out = out, fd = fd, lines = {}, shown = nil }, Screen)
  self:parting("")
  return self
end

--- What is written when a second Ctrl-C ends the program at once.
function Screen:parting(text) term.parting(self.fd, END .. DRAWN .. CLEAR .. text) end

--- Columns and rows as they are now.
function Screen:size()
  local columns, rows = term.size(self.fd)
  return (columns or 0) > 0 and columns or 80, (rows or 0) > 0 and rows or 24
end

--- A line that stays, once flushed.
function Screen:line(text) self.lines[#self.lines + 1] = text .. "\n" end

local function frame_of(picture)
  local up = #picture > 1 and ("\27[%dA\r"):format(#picture - 1) or "\r"
  return BEGIN .. DRAW .. table.concat(picture, TO_END_OF_LINE .. "\n") .. TO_END_OF_LINE .. "\27[J"
    .. up .. DRAWN .. END
end

--- Writes the lines that are waiting, and the picture below them: a list of lines that fit into the
--- window.
---@param picture string[]
function Screen:flush(picture)
  local frame = #picture > 0 and frame_of(picture) or ""
  if #self.lines > 0 then
    self.out:write(BEGIN, CLEAR, table.concat(self.lines), frame == "" and END or "")
    self.lines = {}
  elseif frame == self.shown then
    return
  end
  self.out:frame(frame)
  self.shown = frame
end

--- Is the terminal behind? Then a new picture would only be in the way.
function Screen:busy() return self.out:pending() > 0 end

--- Leaves the lines only.
function Screen:close()
  self.out:frame("")
  self.out:write(CLEAR, table.concat(self.lines), END)
  self.lines = {}
  term.parting(self.fd, nil)
end

return { new = new }
