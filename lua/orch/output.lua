-- What a step prints, masked, then cut into lines, kept in the step's log file and sent as events.
local LINE_MAX <const> = 16384 -- bytes; a longer line is sent in parts
local TAIL_LINES <const> = 20  -- kept for the error of a step that fails

local Output = {}
Output.__index = Output

--- journal gives the log file, made on the first output.
---@param bus table
---@param id string place of the step
---@param journal table
---@param seq integer the step's number
---@param what? string names another log of the same step
local function new(bus, id, journal, seq, what)
  return setmetatable({ bus = bus, kind = "step.output", id = id, journal = journal, seq = seq,
    what = what,
    masked = bus.masker:stream(), held = "", tail = {}, tail_at = 0 }, Output)
end

--- What is said outside of steps, as events of that kind.
---@param bus table
---@param kind "job.log"|"run.log"
---@param of { id: string, job?: string, journal: table, name: string } name: of the log file
local function aside(bus, kind, of)
  return setmetatable({ bus = bus, kind = kind, id = of.id, job = of.job, journal = of.journal,
    to = of.name,
    masked = bus.masker:stream(), held = "", tail = {}, tail_at = 0 }, Output)
end

function Output:keep(text)
  if not self.file then
    self.name = self.to or self.journal:log_name(self.seq, self.what)
    self.file = self.journal:open_log(self.name)
  end
  self.file:write(text, "\n")
end

function Output:send(line)
  self:keep(line)
  self.bus:emit(self.kind, { id = self.id, job = self.job, line = line, stream = self.stream })
  self.tail_at = self.tail_at % TAIL_LINES + 1
  self.tail[self.tail_at] = line
end

-- Takes masked bytes; sends each line when it is whole.
function Output:cut(bytes)
  local held, at = self.held .. bytes, 1
  while true do
    local stop = held:find("\n", at, true)
    if not stop then break end
    local last = stop - 1
    if held:byte(last) == 13 then last = last - 1 end
    self:send(held:sub(at, last))
    at = stop + 1
  end
  held = at > 1 and held:sub(at) or held
  while #held > LINE_MAX do
    self:send(held:sub(1, LINE_MAX))
    held = held:sub(LINE_MAX + 1)
  end
  self.held = held
  if self.file then self.file:flush() end
end

--- Takes bytes as they come. A secret may lie across two writes and across lines: so it is looked
--- for before lines are cut.
---@param bytes string
---@param stream? string where the program wrote them
function Output:write(bytes, stream)
  self.stream = stream
  self:cut(self.masked:feed(bytes))
end

--- Sends what is left without an end of line.
function Output:end_line()
  self:cut(self.masked:flush())
  if self.held ~= "" then self:send(self.held) end
  self.held = ""
end

function Output:close()
  self:end_line()
  if self.file then self.file:close() end
  self.file = nil
end

--- The last lines, for an error's detail.
function Output:last_lines()
  local lines = {}
  for i = 1, TAIL_LINES do
    lines[#lines + 1] = self.tail[(self.tail_at + i - 1) % TAIL_LINES + 1]
  end
  return table.concat(lines, "\n")
end

return { new = new, aside = aside }
