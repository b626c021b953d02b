-- A program in the container at the terminal, or in the pipes, that are orch's own: an exec by
-- which the shim starts it (engine/shim/enter.h). What it is to be is in a file that the shim
-- removes, so that no secret stands in the exec's description. With a terminal the daemon makes one
-- there, which ours only shows: it passes on each key, and its size.
local branches = require "orch.branches"
local error_value = require "orch.error"
local files = require "orch.executor.docker.files"
local json = require "orch.json"
local loss = require "orch.executor.docker.loss"
local random = require "orch.random"
local request = require "orch.executor.docker.request"
local spool = require "orch.spool"
local task = require "orch.task"
local term = require "orch.term"
local wire = require "orch.executor.docker.wire"

local HEAD <const> = 8            -- the daemon's, before each piece of what is no terminal's
local BEHIND_MAX <const> = 1 << 20 -- bytes that whoever reads us has not taken
local POLL <const> = 0.02
local SIGPIPE <const> = 13
local KILLED <const> = 137         -- 128 and SIGKILL
-- In place of Ctrl-P Ctrl-Q, by which the daemon would leave the program, and until then hold back
-- a Ctrl-P that was meant for it: a sequence that nobody types. It cannot be none.
local DETACH_KEYS <const> = "ctrl-^,ctrl-_,ctrl-^,ctrl-_,ctrl-@"
local BEAT <const> = 10            -- seconds between two looks at whether the daemon is alive
local SILENT_SECONDS <const> = 30
local END_SECONDS <const> = 10    -- from the end of the stream until the daemon knows of the exec's

-- --- the exec ------------------------------------------------------------------------------------

local function create(world, path, terminal)
  local made = assert(world.engine:call(wire.OP, "POST", ("/containers/%s/exec"):format(world.id),
    { json = { AttachStdin = true, AttachStdout = true, AttachStderr = true, Tty = terminal,
      DetachKeys = terminal and DETACH_KEYS or nil,
      Cmd = json.array { wire.SHIM, "enter", path }, User = "0", WorkingDir = "/" } }))
  return made.Id
end

local function start(world, id, terminal)
  local peer = world.connected:peer()
  peer.path = ("/v%s/exec/%s/start"):format(world.connected.api, id)
  peer.body = json.encode { Detach = false, Tty = terminal }
  peer.headers = { ["Content-Type"] = "application/json" }
  local stream, failure = require "orch.http".upgrade(peer)
  if stream then return stream end
  failure.op, failure.message = wire.OP, ("%s: %s"):format(wire.OP, failure.message)
  error(failure, 0)
end

-- The status with which it ended, unless that is the container's end. As long as it runs, it was
-- the connection that ended.
local function ending(world, id)
  local deadline = task.clock() + END_SECONDS
  repeat
    local state, failure = world.engine:call(wire.OP, "GET", ("/exec/%s/json"):format(id))
    if not state then
      failure.op = wire.OP
      error(failure, 0)
    elseif state.Running == false and math.type(state.ExitCode) == "integer" then
      local lost = state.ExitCode == KILLED and loss.await(world)
      if lost then error(lost, 0) end
      return { code = state.ExitCode }
    end
    task.sleep(POLL)
  until task.clock() > deadline
  error(error_value.new { kind = "net", op = wire.OP,
    message = ("container %s: the connection to the program was lost"):format(world.id:sub(1, 12)) },
    0)
end

-- --- bytes in and out ----------------------------------------------------------------------------

local function pieces(stream) return function() return (stream:read()) end end

-- False: nobody reads it any more.
local function pass_on(out, bytes)
  out:write(bytes)
  while out:pending() > BEHIND_MAX and not out:failed() do task.sleep(POLL) end
  return not out:failed()
end

-- Calls take(number, bytes) for each piece, 1 standard output, 2 standard error, while that gives
-- true.
local function take_apart(stream, take)
  local held = ""
  for piece in pieces(stream) do
    held = held .. piece
    while #held >= HEAD do
      local number, len = string.unpack(">B xxx I4", held)
      if #held < HEAD + len then break end
      if not take(number == 2 and 2 or 1, held:sub(HEAD + 1, HEAD + len)) then return false end
      held = held:sub(HEAD + len + 1)
    end
  end
  return true
end

-- What the program prints, to its end: true, or false when nobody reads it any more.
local function show(stream, terminal)
  local outs, read = { assert(spool.open(1)), assert(spool.open(2)) }, true
  if terminal then
    for piece in pieces(stream) do read = read and pass_on(outs[1], piece) end
  else
    read = take_apart(stream, function(number, bytes) return pass_on(outs[number], bytes) end)
  end
  for _, each in ipairs(outs) do read = each:close() ~= nil and read end
  return read
end

-- To the end of what is typed, or comes through the pipe.
local function feed(stream)
  for piece in term.read do
    if not stream:write(piece) then return end
  end
  stream:shutdown()
end

local function keep_size(world, id, lease)
  while true do
    local columns, rows = term.size(0)
    if (columns or 0) > 0 and (rows or 0) > 0 then -- one that has just ended has no size
      world.engine:call(wire.OP, "POST", ("/exec/%s/resize"):format(id),
        { query = { w = columns, h = rows } })
    end
    lease:resized()
  end
end

-- A daemon that hangs, or whose machine is gone, ends no connection; and with a terminal no key
-- would end us.
local function watch(world, showing)
  while true do
    task.sleep(BEAT)
    local alive, failure = world.connected:request { op = "docker", path = "/_ping",
      idle_timeout = SILENT_SECONDS }
    if not alive and failure.kind == "timeout" then
      showing:cancel(error_value.new { kind = "timeout", op = "docker", silent = true,
        message = ("container %s: no sign of life for %d s; is its daemon alive?"):format(
          world.id:sub(1, 12), SILENT_SECONDS) })
    end
  end
end

local function talk(world, id, terminal)
  local stream <close> = start(world, id, terminal)
  local lease <close> = terminal and assert(term.raw()) or nil
  local showing = task.spawn(show, stream, terminal)
  local beside = { task.spawn(feed, stream), task.spawn(watch, world, showing),
    lease and task.spawn(keep_size, world, id, lease) }
  local _ <close> = setmetatable({}, { __close = function()
    for _, each in ipairs(beside) do
      each:cancel(error_value.new { kind = "cancelled", message = "the program has ended" })
    end
  end })
  local good, result = showing:join()
  if not good then error(result, 0) end
  return result
end

-- --- all of it -----------------------------------------------------------------------------------

-- What was started there is ended, however we came to leave it.
local function give_up(world, path)
  pcall(branches.cleanup, function()
    world.root:ask_once("X", { path })
    require "orch.executor.docker.container".end_orphans(world)
  end)
end

--- Runs a program until it has ended; waits.
---@param world orch.docker.World
---@param spec { argv: table, cwd: string, env: table }
---@return { code: integer, signal: integer? }? result, table? err
local function attach(world, spec)
  local terminal = term.is_tty(0) and term.is_tty(1)
  local path = ("%s/enter-%s"):format(wire.DIR, random.hex(8))
  local asked = files.functions(world.root, "/")
  assert(asked.write(path, request.payload(world.identity, spec), { mode = tonumber("600", 8) }))
  local good, result = pcall(function()
    local id = create(world, path, terminal)
    return talk(world, id, terminal) and ending(world, id)
  end)
  if good and result then return result end
  if not (error_value.is(result) and result.silent) then give_up(world, path) end
  if good then return { code = -1, signal = SIGPIPE } end
  if error_value.is(result) and result.op == wire.OP then result = loss.explain(world, result) end
  return nil, result
end

return { attach = attach }
