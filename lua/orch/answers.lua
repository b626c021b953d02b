-- Where the answer to a question comes from: the command line, another terminal, this terminal; or nobody, and
-- then the run is on hold.
local error_value = require "orch.error"
local fnv = require "orch.fnv"
local fs = require "orch.fs"
local task = require "orch.task"

local POLL <const> = 0.2 -- seconds

-- Not in the database, which would keep a code after it is used.
local function path_of(opened, number, id) return ("%s/answers/%s"):format(opened:run_dir(number), fnv.hash(id)) end

--- Notes an answer, for the process that works on the run or will.
---@param opened table the project's state
---@param number integer of the run
---@param id string
---@param text string
local function note(opened, number, id, text)
  assert(fs.make_dir(opened:run_dir(number) .. "/answers", tonumber("700", 8)))
  assert(fs.write(path_of(opened, number, id), text, { mode = tonumber("600", 8) }))
end

-- A code is good for one time.
local function noted(run, o)
  local path = path_of(run.state, run.journal.number, o.id)
  if not fs.stat(path) then return nil end
  local text = assert(fs.read(path))
  if o.type == "code" then assert(fs.remove(path)) end
  return text
end

-- A person at this terminal and one at another may both answer: the first counts.
local function from_terminal(run, o)
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

--- The text of the answer; raises kind failed with hold = true when there is none.
---@param run table
---@param job orch.Job
---@param o { id: string, question?: string, type: string }
---@return string
local function get(run, job, o)
  local text = run.answers[o.id] or noted(run, o)
  if text then return text end
  job.bus:emit("ask", { id = o.id, job = job.name, question = o.question or o.id, kind = o.type })
  if run.interactive then
    text = from_terminal(run, o)
    if text and text ~= "" then return text end
  end
  local number = run.journal.number
  error(error_value.new { kind = "failed", hold = true,
    message = ("run %d is on hold: it asks '%s'%s"):format(number, o.id, o.question and ": " .. o.question or ""),
    hint = ("orch answer %d %s VALUE && orch resume %d"):format(number, o.id, number) }, 0)
end

return { get = get, note = note }
