-- Where the answer to a question comes from: the command line, another terminal, this terminal; or nobody, and
-- then the run is on hold.
local error_value = require "orch.error"
local task = require "orch.task"

local POLL <const> = 0.2 -- seconds

local function recorded(run, id)
  local rows = run.state:rows("SELECT value FROM answers WHERE run = ? AND id = ?", run.journal.number, id)
  return rows[1] and rows[1].value
end

-- A person at this terminal and one at another may both answer: the first counts.
local function from_terminal(run, o)
  local term = require "orch.term"
  local typed
  local reader = task.spawn(function() typed = term.read_line { hidden = o.type == "code" } end)
  while typed == nil and not reader:ended() do
    local told = recorded(run, o.id)
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
  local text = run.answers[o.id] or recorded(run, o.id)
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

return { get = get }
