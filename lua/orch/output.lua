-- What a step prints, cut into lines and sent as events.
local LINE_MAX <const> = 16384 -- bytes; a longer line is sent in parts
local TAIL_LINES <const> = 20  -- kept for the error of a step that fails

local Output = {}
Output.__index = Output

local function new(bus, id)
  return setmetatable({ bus = bus, id = id, held = "", tail = {} }, Output)
end

function Output:send(line)
  self.bus:emit("step.output", { id = self.id, line = line })
  self.tail[#self.tail + 1] = line
  if #self.tail > TAIL_LINES then table.remove(self.tail, 1) end
end

--- Takes bytes as they come; sends each line when it is whole.
function Output:write(bytes)
  local held, at = self.held .. bytes, 1
  while true do
    local stop = held:find("\n", at, true)
    if not stop then break end
    self:send((held:sub(at, stop - 1):gsub("\r$", "")))
    at = stop + 1
  end
  held = held:sub(at)
  while #held > LINE_MAX do
    self:send(held:sub(1, LINE_MAX))
    held = held:sub(LINE_MAX + 1)
  end
  self.held = held
end

--- Sends what is left without an end of line.
function Output:flush()
  if self.held ~= "" then self:send(self.held) end
  self.held = ""
end

--- The last lines, for an error's detail.
function Output:last_lines() return table.concat(self.tail, "\n") end

return { new = new }
