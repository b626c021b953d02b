-- Where the answer to a question comes from: the command line, another terminal, this terminal; or
-- nobody, and then the run is on hold.
--
-- Questions and answers are files of the run, not rows of the database, which would keep a code
-- after it is used.
local error_value = require "orch.error"
local fnv = require "orch.fnv"
local fs = require "orch.fs"
local json = require "orch.json"
local nearest = require "orch.nearest"
local question = require "orch.question"
local task = require "orch.task"

local POLL <const> = 0.2 -- seconds

local FIELDS <const> = { "id", "question", "type", "default", "enum", "pattern", "min", "max" }

local function dir_of(opened, number) return opened:run_dir(number) .. "/answers" end

local function path_of(opened, number, id)
  return ("%s/%s"):format(dir_of(opened, number), fnv.hash(id))
end

local function write(opened, number, path, text)
  assert(fs.make_dir(dir_of(opened, number), tonumber("700", 8)))
  assert(fs.write(path, text, { mode = tonumber("600", 8) }))
end

--- The questions of a run that wait for an answer, by id.
---@param opened table the project's state
---@param number integer of the run
---@return orch.Question[]
local function open_questions(opened, number)
  local list = {}
  for _, name in ipairs(fs.list(dir_of(opened, number)) or {}) do
    local text = name:match("%.question$") and fs.read(dir_of(opened, number) .. "/" .. name)
    if text and not fs.stat(dir_of(opened, number) .. "/" .. name:match("^[^.]*")) then
      list[#list + 1] = json.decode(text)
    end
  end
  table.sort(list, function(a, b) return a.id < b.id end)
  return list
end

--- The open question of that name; raises kind missing, and says what is asked.
---@return orch.Question
local function find(opened, number, id)
  local ids = {}
  for i, each in ipairs(open_questions(opened, number)) do
    if each.id == id then return each end
    ids[i] = each.id
  end
  error(error_value.new { kind = "missing",
    message = #ids == 0 and ("run %d asks nothing"):format(number)
    or ("run %d does not ask '%s'%s"):format(number, id, nearest.hint(id, ids)),
    hint = #ids == 0
      and "answer beforehand with --answer NAME=VALUE of `orch run` and `orch resume`" or nil }, 0)
end

--- Notes an answer, for the process that works on the run or will; raises kind usage when it is
--- none.
---@param opened table
---@param number integer of the run
---@param asked orch.Question
---@param text string
local function note(opened, number, asked, text)
  local good, failure = pcall(question.value, asked, text)
  if not good and failure.kind == "usage" then error(failure, 0) end
  write(opened, number, path_of(opened, number, asked.id), text)
end

local function ask(run, o)
  local asked = {}
  for _, name in ipairs(FIELDS) do asked[name] = o[name] end
  write(run.state, run.journal.number, path_of(run.state, run.journal.number, o.id) .. ".question",
    json.encode(asked))
end

-- A code is good for one time.
local function noted(run, o)
  local path = path_of(run.state, run.journal.number, o.id)
  if not fs.stat(path) then return nil end
  local text = assert(fs.read(path))
  if o.type == "code" then assert(fs.remove(path)) end
  return text
end

-- A person at this terminal and one at another may both answer: the first counts. nil when this
-- one's input has ended.
local function read(run, o)
  local term = require "orch.term"
  local typed
  local reader = task.spawn(function() typed = term.read_line { hidden = o.type == "code" } end)
  while typed == nil and not reader:ended() do
    local told = noted(run, o)
    if told then
      reader:cancel(error_value.new { kind = "cancelled", message = "answered elsewhere" })
      reader:join()
      return told
    end
    reader:join(POLL)
  end
  return typed
end

-- Two questions at once would share the terminal: the second waits until the first is answered.
local function take_turn(run, o)
  while run.asking do
    local told = noted(run, o)
    if told then return told end
    task.sleep(POLL)
  end
  run.asking = true
end

-- What is no answer is asked again.
local function from_terminal(run, o, tell)
  local told = take_turn(run, o)
  if told then return told end
  local _ <close> = setmetatable({}, { __close = function() run.asking = nil end })
  local problem
  while true do
    tell(problem)
    local text = read(run, o)
    if text == nil then return nil end
    if text == "" and o.default ~= nil then text = tostring(o.default) end
    local good, failure = pcall(question.value, o, text)
    if good or failure.kind ~= "usage" then return text end
    problem = failure.message
  end
end

--- The text of the answer; raises kind missing with hold = true when there is none.
---@param run table
---@param job orch.Job
---@param o orch.Question
---@return string
local function get(run, job, o)
  local text = run.answers[o.id] or noted(run, o)
  if text then return text end
  local function tell(problem)
    job.bus:emit("ask",
      { id = o.id, job = job.name, step = job:step_id(), question = o.question or o.id,
      kind = o.type,
      choices = question.choices(o), problem = problem })
  end
  ask(run, o)
  if run.interactive then
    text = from_terminal(run, o, tell)
    if text then
      assert(fs.remove(path_of(run.state, run.journal.number, o.id) .. ".question"))
      return text
    end
  else
    tell()
  end
  local number = run.journal.number
  error(error_value.new { kind = "missing", hold = true,
    message = ("run %d is on hold: it asks '%s'%s"):format(number, o.id,
      o.question and ": " .. o.question or ""),
    hint = ("orch answer %d %s %s && orch resume %d"):format(number, o.id,
      o.type == "approval" and "yes" or "VALUE", number) }, 0)
end

return { get = get, note = note, find = find, open_questions = open_questions }
