-- How a command prints for people: names, titles and values that others chose, with nothing in them
-- that a terminal obeys.
local term = require "orch.term"

---@param text string lines
local function say(text)
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do io.write(term.printable(line), "\n") end
end

return say
