-- What a job does when its body has ended: in reverse order, whatever happens.
local error_value = require "orch.error"
local scope = require "orch.scope"
local step = require "orch.step"
local task = require "orch.task"

local SECONDS_MAX <const> = 24 * 60 * 60
local SECONDS <const> = 30 -- for each thing, after a cancellation
local POLL <const> = 0.1

-- Whatever happens f is done; once the job is cancelled, with a limit.
local function within_deadline(f)
  task.shield(SECONDS_MAX)
  local running, stop = task.spawn(f), nil
  local ended, good, problem
  repeat
    ended = table.pack(running:join(POLL))
    if not stop and task.cancelled() then stop = task.clock() + SECONDS end
    if ended[1] == nil and stop and task.clock() > stop then
      running:cancel(error_value.new { kind = "timeout",
        message = ("not tidied up within %d s"):format(SECONDS) })
      ended = table.pack(running:join())
    end
  until ended[1] ~= nil
  good, problem = ended[1], ended[2]
  task.unshield()
  return good, problem
end

-- One thing that was put off; its failure is the job's when the body was good.
local function do_deferred(job, entry, failure)
  -- a plan tells what there may be to do
  local wrong = entry.when == "on_fail" and not failure and (job.rehearsing or not job.planning)
  if wrong or entry.when == "on_success" and failure then return failure end
  local good, problem = within_deadline(function()
    local succeeded, what = scope.within(job.scope:tidying(), entry.f)
    if not succeeded and what ~= step.HALT then error(what, 0) end
  end)
  return failure or not good and problem or nil
end

--- Does all that was put off, the last thing first; gives the job's failure. A resumed run does it
--- again unless its whole body was answered from the record: it tidies up after what this session
--- did. A body that waits for an answer has not ended: what it made is still needed when it goes
--- on.
local function perform(job, failure)
  if failure and failure.hold then return failure end
  job.tidying = true
  if job.worked then
    job.scope:tidying().anew = "it belongs to the end of a body that was done again"
  end
  for i = #job.deferred, 1, -1 do failure = do_deferred(job, job.deferred[i], failure) end
  return failure
end

return { perform = perform }
