-- orch logs [RUN] [JOB[/STEP]] [--follow]: what the steps printed
local args = require "orch.cli.args"
local error_value = require "orch.error"
local json = require "orch.json"
local project = require "orch.project"
local say = require "orch.cli.say"
local state = require "orch.state"
local task = require "orch.task"
local term = require "orch.term"

local SPEC <const> = { command = "logs", positional = { "run", "step" },
  flags = { follow = "boolean", json = "boolean", project = "string" }, short = { f = "follow" } }

local POLL <const> = 0.2
local PAGE <const> = 20000
local NEXT_STEPS <const> = "SELECT * FROM steps WHERE run = ? AND seq >= ? ORDER BY seq LIMIT ?"

-- Steps of a job, or those whose place or title is named after it.
local function selected(step, wanted)
  if not wanted then return true end
  local job, rest = wanted:match("^([^/]+)/?(.*)$")
  return step.job == job
    and (rest == "" or step.title == rest or step.id == wanted
    or step.id:find(wanted, 1, true) == 1)
end

local Follower = {}
Follower.__index = Follower

-- read: bytes of each file that have been printed. low: the first step that may still print.
local function follower(opened, number, wanted, as_json)
  return setmetatable({ opened = opened, number = number, dir = opened:run_dir(number),
    wanted = wanted, as_json = as_json,
    read = {}, low = 0, background = {}, found = false, last = nil,
    on_terminal = term.is_tty(1) }, Follower)
end

local function read_log(path, from)
  local file = io.open(path, "rb")
  if not file then return "" end
  file:seek("set", from)
  local text = file:read("a")
  file:close()
  return text
end

-- As in the report of a run: a program's colours stay, of what it wrote over a line only the last.
local function on_screen(line) return term.printable(line:match("([^\r]+)\r*$") or "", true) end

-- Prints what a file has got since the last time. source: { id, job?, title? }; whole: nothing more
-- will come.
function Follower:print_new(name, source, whole)
  local text = read_log(self.dir .. "/" .. name, self.read[name] or 0)
  if not whole then text = text:match("^.*\n") or "" end
  if text == "" then return end
  self.read[name] = (self.read[name] or 0) + #text
  if self.as_json then
    print(json.encode { id = source.id, job = source.job, title = source.title, text = text })
    return
  end
  if self.last ~= name then
    say("-- " .. (source.title and source.job .. " / " .. source.title or source.job or "run"))
  end
  io.write(self.on_terminal and text:gsub("[^\n]+", on_screen) or text)
  self.last = name
end

-- What was said outside of steps.
function Follower:print_asides(whole)
  if not self.wanted then self:print_new("logs/run.log", { id = "run" }, whole) end
  for _,
    job in ipairs(self.opened:rows("SELECT name, attempt FROM jobs WHERE run = ? ORDER BY started",
    self.number)) do
    if not self.wanted or self.wanted == job.name then
      self.found = true
      for attempt = 1, job.attempt do
        local place = attempt == 1 and job.name or ("%s~%d"):format(job.name, attempt)
        self:print_new(("logs/job-%s.log"):format(place), { id = place, job = job.name }, whole)
      end
    end
  end
end

-- A running step's row does not name its log yet; logs are named after the step's number.
function Follower:print_step(step, whole)
  self.found = true
  self:print_new(("logs/%d.log"):format(step.seq), step, whole or step.state ~= "running")
  local background = ("logs/%d-background.log"):format(step.seq)
  if step.state == "running" or step.log == background then
    self:print_new(background, step, whole)
    self.background[step.seq] = step
  end
end

--- Prints all that is new. whole: the run has ended.
function Follower:look(whole)
  self:print_asides(whole)
  for seq, step in pairs(self.background) do
    if seq < self.low then self:print_new(("logs/%d-background.log"):format(seq), step, whole) end
  end
  local at, low = self.low, nil
  repeat
    local rows = self.opened:rows(NEXT_STEPS, self.number, at, PAGE)
    for _, step in ipairs(rows) do
      if selected(step, self.wanted) then self:print_step(step, whole) end
      if step.state == "running" then low = low or step.seq end
      at = step.seq + 1
    end
  until #rows < PAGE
  self.low = low or at
end

local function main(given)
  local parsed = args.parse(SPEC, given)
  local opened = state.open(project.find(parsed.project))
  local number = opened:run(args.run_number("logs", parsed.run)).number
  local shown = follower(opened, number, parsed.step, parsed.json)
  repeat
    local live = opened:state_of(opened:run(number)) == "live"
    shown:look(not live)
    if not io.stdout:flush() then break end -- nobody reads it any more
    local again = live and parsed.follow
    if again then task.sleep(POLL) end
  until not again
  opened:close()
  if not shown.found and parsed.step then
    error(error_value.new { kind = "missing",
      message = ("run %d has no step '%s'"):format(number, parsed.step),
      hint = ("`orch show %d` lists them"):format(number) }, 0)
  end
  return 0
end

return { main = main, spec = SPEC }
