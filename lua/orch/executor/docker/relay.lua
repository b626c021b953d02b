-- A docker endpoint in the job's container: a socket whose other end is orch, which passes on what
-- comes to the daemon that it uses itself. So it works with any daemon, and no certificate or key
-- has to be in the container.
--
-- Each connection has an exec of its own, so that one that nobody reads holds up no other, and
-- nothing is kept here: whoever is slow makes the other end wait.
local answers = require "orch.executor.docker.answers"
local error_value = require "orch.error"
local random = require "orch.random"
local task = require "orch.task"
local wire = require "orch.executor.docker.wire"

local SOCKET <const> = "/var/run/docker.sock"
-- execs that a connection finds ready; to start one takes its time
local WAITING <const> = 2
local CONNECTIONS_MAX <const> = 64 -- at once; more wait until one has ended

-- Starts the shim there; its link once it has what it was asked for.
local function ask(place, life, texts)
  local link, failure = wire.open(place.connected, place.id, life, "0")
  if not link then return nil, failure end
  local good, kind, payload
  good, failure = link:send("r", table.concat(texts, "\0") .. "\0")
  if good then kind, payload = link:take() end
  if kind == "k" or kind == "b" then return link end
  link:close()
  return nil, kind and answers.failure(payload) or payload or failure
end

-- Until the program has closed its end.
local function pass_out(link, stream)
  while true do
    local kind, payload = link:take()
    if kind == "o" then
      if not stream:write(payload) then return end
    elseif kind == "d" then
      if not stream:shutdown() then return end
    else
      return
    end
  end
end

local function pass_in(link, stream)
  for piece in function() return stream:read() end do
    if not link:send("w", piece) then return end
  end
  link:send "g"
end

-- The program is told of a failure by its connection's end; the job says which it was.
local function serve(job, place, link)
  local _ <close> = link
  local stream <close>, failure = require "orch.http".stream(place.connected:peer())
  if not stream then
    job:log("the steps' docker endpoint: %s", failure.message)
    return
  end
  local back = task.spawn(pass_in, link, stream)
  pass_out(link, stream)
  back:cancel(error_value.new { kind = "cancelled", message = "the program has closed its end" })
end

-- Until an exec cannot be had: the container is over, or its daemon. The failure.
local function attend(job, place, questions)
  local me, waiting, serving, failure = task.current(), 0, 0, nil
  local function wait()
    local link = assert(ask(place, "relay", { questions }))
    waiting, serving = waiting - 1, serving + 1
    me:unpark() -- another exec is to wait
    serve(job, place, link)
    serving = serving - 1
    me:unpark()
  end
  local function guarded()
    local good, problem = xpcall(wait, error_value.on_error)
    if good then return end
    failure = failure or problem
    me:unpark()
  end
  while not failure do
    while waiting < WAITING and waiting + serving < CONNECTIONS_MAX do
      waiting = waiting + 1
      task.spawn(guarded)
    end
    task.park()
  end
  return failure
end

local function keep(job, place, started)
  local questions = wire.DIR .. "/" .. random.hex(8)
  local identity = place.identity
  local link, failure = ask(place, "listen", { SOCKET, identity.uid, identity.gid, questions })
  started(failure)
  if not link then return end
  local _ <close> = link
  job:log("the steps' docker endpoint is over: %s", attend(job, place, questions).message)
end

--- Makes the endpoint, for as long as the job lives, unless it is there; DOCKER_HOST for the steps.
---@param job orch.Job
---@param place { connected: table, id: string, identity: table, relay_turn: table }
---@return string
local function open(job, place)
  local _ <close> = place.relay_turn:take()
  if place.relayed then return place.relayed end
  local me, over, failure = task.current(), false, nil
  job:background(function()
    keep(job, place, function(problem)
      over, failure = true, problem
      me:unpark()
    end)
  end)
  while not over do task.park() end
  if failure then error(failure, 0) end
  place.relayed = "unix://" .. SOCKET
  return place.relayed
end

return { open = open }
