-- The picture of what runs: jobs, their steps, transfers and last lines, cut to the window.
local amount = require "orch.amount"
local clock = require "orch.ui.clock"
local term = require "orch.term"

local WIDTH_MAX <const> = 100 -- clocks stand no further to the right
local BAR_COLUMNS <const> = 24
local BARS_SHOWN <const> = 4
local TAIL_SHOWN <const> = { 6, 2, 2, 1 } -- last lines of a step, when so many run
local ROWS_MAX <const> = 24

local NAME_MAX <const> = 28 -- columns of a job's name beside something else

local Tree = {}
Tree.__index = Tree

local function new(model, style) return setmetatable({ model = model, style = style }, Tree) end

--- A name or a message, whole: a carriage return in it hides nothing.
local function shown(text) return term.printable((text:gsub("\r+$", ""))) end

--- A line as a program printed it: of what it has overwritten, the last.
---@param colours? boolean leave them in
local function printed(line, colours)
  return term.printable(line:match("([^\r]+)\r*$") or "", colours)
end

--- A name in that many columns at most, and how many it takes. Names of jobs often differ at their
--- ends only.
---@param name string
---@param columns integer
---@return string, integer
function Tree.name(name, columns)
  local whole, used = term.fit(shown(name), #name + 1)
  if used <= columns then return whole, used end
  if columns < 8 or utf8.len(name) ~= #name then return term.fit(shown(name), columns) end
  local tail = (columns - 1) // 2
  return name:sub(1, columns - 1 - tail) .. "…" .. name:sub(-tail), columns
end

--- A line with something at its right edge; the text gives way.
---@param columns integer of the window
---@param indent string
---@param text string painted after it was cut, by paint
---@param right string
---@param paint? fun(text: string): string
local function line(columns, indent, text, right, paint)
  local width = math.min(columns - 1, WIDTH_MAX)
  local room = width - #indent - #right - 2
  if room < 8 then room, right = width - #indent, "" end
  local fitted, used = term.fit(text, room)
  local gap = right ~= "" and (" "):rep(width - #indent - used - #right) or ""
  return indent .. (paint and paint(fitted) or fitted) .. gap, right
end

function Tree:row(columns, indent, sign, text, right, colour)
  local style = self.style
  local left, edge = line(columns, indent .. "  ", text, right, function(t)
    return style:paint(colour, t)
  end)
  return indent .. sign .. left:sub(#indent + 2) .. style:paint("dim", edge)
end

local function progress_of(bar)
  local function words(value)
    return bar.unit == "steps" and ("%d"):format(value) or amount.size(value)
  end
  if not bar.total or bar.total <= 0 then return words(bar.current) end
  return ("%s / %s"):format(words(bar.current), words(bar.total))
end

function Tree:bar(columns, indent, bar)
  local right = progress_of(bar)
  local share = bar.total and bar.total > 0 and bar.current / bar.total
  local cells = share and columns >= 60 and BAR_COLUMNS or share and columns >= 44 and 10 or 0
  local edge = cells > 0 and ("%s  %17s"):format((" "):rep(cells), right) or right
  local left, fitted = line(columns, indent, shown(bar.label), edge)
  if fitted == "" then return left end
  if cells == 0 then return left .. self.style:paint("dim", right) end
  return left .. self.style:bar(share, cells) .. self.style:paint("dim", edge:sub(cells + 1))
end

local function unfinished(step)
  local bars = {}
  for _, bar in ipairs(step.bars) do
    if (bar.total or 0) <= 0 or bar.current < bar.total then bars[#bars + 1] = bar end
  end
  return bars
end

-- A step: its title and clock, its transfers. Its last lines are filled in when it is known how
-- many there is room for.
function Tree:add_step(rows, step, now, columns, indent)
  local sign = step.group and " " or self.style:spinner(now)
  rows[#rows + 1] = self:row(columns, indent, sign, shown(step.title),
    step.group and "" or clock.running(now - step.started), step.group and "dim" or nil)
  local bars = unfinished(step)
  for i = 1, math.min(#bars, BARS_SHOWN) do
    rows[#rows + 1] = self:bar(columns, indent .. "    ", bars[i])
  end
  if #bars > BARS_SHOWN then
    rows[#rows + 1] = self.style:paint("dim",
      ("%s    %s %d more"):format(indent, self.style.signs.dots, #bars - BARS_SHOWN))
  end
  if #step.tail > 0 then rows[#rows + 1] = { tail = step.tail, indent = indent .. "  " } end
end

-- The steps that run, in the order in which they began, by the job or step that they are right
-- below.
local function steps_below(model)
  local below = {}
  for _, step in ipairs(model.running) do
    local above = step.parent or step.job
    below[above] = below[above] or {}
    table.insert(below[above], step)
  end
  return below
end

function Tree:add_steps(rows, below, above, now, columns, indent)
  for _, step in ipairs(below[above] or {}) do
    self:add_step(rows, step, now, columns, indent)
    self:add_steps(rows, below, step, now, columns, indent .. "  ")
  end
end

function Tree:add_job(rows, below, job, now, columns, several)
  if several then
    local text = job.note and ("%s  (%s)"):format(job.name, job.note) or job.name
    rows[#rows + 1] = self:row(columns, "", " ", shown(text),
      job.started and clock.running(now - job.started) or "", "bold")
  elseif job.note then
    rows[#rows + 1] = self:row(columns, "", " ", shown(job.note), "", "dim")
  end
  self:add_steps(rows, below, job.name, now, columns, several and "  " or "")
end

-- The steps of a job that have none below them, as words.
local function innermost(below, above, titles)
  for _, step in ipairs(below[above] or {}) do
    if below[step] then innermost(below, step, titles) else titles[#titles + 1] = step.title end
  end
  return titles
end

-- One line for each job, when there is no room for more.
function Tree:add_jobs_in_short(rows, below, jobs, now, columns, limit)
  local width = math.min(self.model.widest, columns // 3, NAME_MAX)
  for i, job in ipairs(jobs) do
    if i == limit and #jobs > limit then
      local text = term.fit(("  %s %d more jobs"):format(self.style.signs.dots, #jobs - i + 1),
        columns - 1)
      rows[i] = self.style:paint("dim", text)
      return
    end
    local titles, name, used = innermost(below, job.name, {}), Tree.name(job.name, width)
    local text = job.note or titles[1] or ""
    if #titles > 1 then text = ("%s  (and %d more)"):format(text, #titles - 1) end
    rows[i] = self:row(columns, "", self.style:spinner(now),
      name .. (" "):rep(width - used + 2) .. shown(text),
      job.started and clock.running(now - job.started) or "")
  end
end

function Tree:footer(now, columns, stopping)
  local model, words = self.model, {}
  local done = #model.order - model:count "waiting" - model:count "running"
  for _,
    each in ipairs { { model:count "running", "running" }, { model:count "waiting", "waiting" },
    { done, "done" } } do
    if each[1] > 0 then words[#words + 1] = ("%d %s"):format(each[1], each[2]) end
  end
  local text = #model.order > 1 and table.concat(words, self.style.signs.between) or ""
  if stopping then
    text = "cancelling" .. self.style.signs.dots .. "  Ctrl-C again kills at once"
  end
  if text == "" then return nil end
  local right = clock.running(now - model.started)
  return self:row(columns, "", " ", text, right, stopping and "yellow" or "dim")
end

-- The last lines of each step that runs, as many as there is room for.
local function expand(rows, limit, columns, style)
  local tails, fixed = 0, 0
  for _, row in ipairs(rows) do
    if type(row) == "table" then tails = tails + 1 else fixed = fixed + 1 end
  end
  local wanted = TAIL_SHOWN[math.min(tails, #TAIL_SHOWN)]
  local each = tails > 0 and math.max(0, math.min(wanted, (limit - fixed) // tails)) or 0
  local expanded = {}
  for _, row in ipairs(rows) do
    if type(row) == "string" then
      expanded[#expanded + 1] = row
    else
      local gutter = row.indent .. style.signs.gutter .. " "
      for i = math.max(1, #row.tail - each + 1), #row.tail do
        local text = term.fit(printed(row.tail[i]), columns - #row.indent - 3)
        expanded[#expanded + 1] = style:paint("dim", gutter .. text)
      end
    end
  end
  return expanded
end

--- The lines of the picture; the first one is empty. None while nothing runs.
---@param now number the clock
---@param columns integer
---@param rows integer of the window
---@param stopping? boolean the run has been cancelled
---@return string[]
function Tree:picture(now, columns, rows, stopping)
  local model, lines = self.model, {}
  if not model.started then return {} end
  local jobs, below = {}, steps_below(model)
  for _, job in ipairs(model.order) do
    if job.state == "running" or job.state == "waiting" and job.note then jobs[#jobs + 1] = job end
  end
  local footer = self:footer(now, columns, stopping)
  local limit = math.max(1, math.min(rows - 2, ROWS_MAX) - (footer and 2 or 1))
  if #jobs > 1 and #jobs + #model.running > limit then
    self:add_jobs_in_short(lines, below, jobs, now, columns, limit)
  else
    for _, job in ipairs(jobs) do
      self:add_job(lines, below, job, now, columns, #model.order > 1)
    end
  end
  lines = expand(lines, limit, columns, self.style)
  if #lines > limit then
    local left_out = #lines - limit + 1
    local text = term.fit(("  %s %d more lines"):format(self.style.signs.dots, left_out),
      columns - 1)
    lines[limit] = self.style:paint("dim", text)
    for i = #lines, limit + 1, -1 do lines[i] = nil end
  end
  lines[#lines + 1] = footer
  if #lines > 0 then table.insert(lines, 1, "") end
  return lines
end

return { new = new, line = line, shown = shown, printed = printed, WIDTH_MAX = WIDTH_MAX }
