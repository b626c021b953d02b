-- A recipe's call of a verb: what it gives is checked, then the verb runs as a step.
local branches = require "orch.branches"
local duration = require "orch.duration"
local error_value = require "orch.error"
local record = require "orch.record"
local shape = require "orch.shape"
local step = require "orch.step"

-- What every call may be given beside the verb's own options.
local function timed(seconds, f)
  if not seconds then return f end
  return function(...)
    local given = table.pack(...)
    return branches.timeout(seconds, function() return f(table.unpack(given, 1, given.n)) end)
  end
end

local function refuse(failure, where, name)
  if error_value.is(failure) and not failure.message:find("did you mean", 1, true) then
    failure.hint = failure.hint or ("`orch verbs %s` tells what it takes"):format(name)
  end
  error(step.locate(failure, where, name), 0)
end

local function perform(job, name, verb, given)
  local where = step.caller()
  local good, checked = pcall(verb.schema.check, verb.schema, name, given)
  if not good then refuse(checked, where, name) end
  local title, seconds, when = checked.name or verb.title and verb.title(checked) or name,
    checked.timeout, checked.when
  checked.name, checked.timeout, checked.when = nil, nil, nil
  if seconds then seconds = duration.seconds(name .. ": timeout", seconds) end
  local spec = { verb = name, title = title, where = where, given = checked,
    options = not job.planning and record.fingerprint(checked) or nil,
    again = verb.replay == "again" or verb.again ~= nil and verb.again(checked) == true,
    external = verb.external }
  local f = timed(seconds, verb.run)
  if when == "on_success" then return job.run_step(job, spec, f, job, checked) end
  if job.planning then spec.put_off = { when = when, after = job:planned_steps() } end
  -- Only when the body has ended is it known whether it failed.
  job:defer(function() job.run_step(job, spec, f, job, checked) end, when)
end

local function usage(message, hint)
  error(error_value.new { kind = "usage", where = step.caller(), message = message, hint = hint },
    0)
end

--- The method of a job that calls the verb.
---@param job orch.Job
---@param name string
---@param verb orch.Verb
---@return fun(self: orch.Job, options: any): any
local function method(job, name, verb)
  return function(self, ...)
    local count = select("#", ...)
    if self ~= job then
      usage(("%s: call it with a colon, job:%s { … }"):format(name, name))
    elseif count > 1 then
      usage(("%s takes one value or one table, got %d values"):format(name, count),
        verb.schema.positional and ("write job:%s { …, … }"):format(name)
          or shape.call("job:" .. name, verb.schema, { ... }))
    end
    return perform(job, name, verb, (...))
  end
end

return { method = method }
