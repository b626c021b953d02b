-- What a daemon tells of a push, pull or build: in any pieces it is lines, an account of layers or
-- of steps, or an error value. The first byte is how the stream is cut.
local build_progress = require "orch.docker.build_progress"
local error_value = require "orch.error"
local lines = require "orch.docker.lines"
local transfer = require "orch.docker.transfer"

local job = { bus = {} }
function job.bus:emit(kind, told) assert(kind == "step.vertex" and told.name and told.state) end
function job.step_id() return "job/docker_build#1" end
function job.log(_, format, ...) assert(#format:format(...) > 0) end
function job.print(_, text) assert(type(text) == "string") end
function job.progress(_, told)
  assert(type(told.label) == "string" and math.type(told.current) == "integer"
    and (told.total == nil or math.type(told.total) == "integer"))
end

local function reply_of(bytes)
  local step, at = bytes:byte() * 16 + 1, 2
  local reply = {}
  function reply.read()
    local piece = bytes:sub(at, at + step - 1)
    at = at + step
    return piece ~= "" and piece or nil
  end
  return reply
end

-- Only errors that say what they are.
local function sound(f, ...)
  local good, problem = pcall(f, ...)
  assert(good or error_value.is(problem), problem)
end

local function follow_transfer(bytes)
  local account = transfer.new(job, "push a")
  local failure = account:read("docker push", "a", reply_of(bytes), function() end)
  assert(failure == nil or error_value.is(failure))
  local counts = account:finish()
  assert(counts.all >= counts.pushed + counts.pulled + counts.mounted + counts.there)
end

local function follow_build(bytes)
  local progress = build_progress.new(job)
  for line in lines.each("docker build", reply_of(bytes)) do
    if line.id == "moby.buildkit.trace" then progress:take(line.aux) end
  end
  assert(#progress:summary() == progress.done and progress:detail())
end

return function(bytes)
  if bytes == "" then return end
  sound(follow_transfer, bytes)
  sound(follow_build, bytes)
end
