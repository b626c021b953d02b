-- A program in the container: what orch.proc.start gives on this machine.
--
-- A task of its own reads what the program prints and sees to its end, so that whoever started it
-- can be cancelled at any moment: nothing is left in the container when that task has ended.
local answers = require "orch.executor.docker.answers"
local branches = require "orch.branches"
local error_value = require "orch.error"
local loss = require "orch.executor.docker.loss"
local random = require "orch.random"
local request = require "orch.executor.docker.request"
local task = require "orch.task"
local wire = require "orch.executor.docker.wire"

local HELD_MAX <const> = 256 * 1024 -- bytes read ahead of child:read before the program must wait
local END_SECONDS <const> = 15      -- beyond the grace, for the shim to end the tree
local BEAT <const> = 10             -- seconds between signs of life, as of the shim's own
local SILENT_BEATS <const> = 6      -- without one from there: the daemon is gone
local POLL <const> = 0.1

local Child = {}
Child.__index = Child

local STREAMS <const> = { o = "stdout", x = "stderr" }
local ENDED_BY <const> = {
  timeout = { "timeout", "the program took too long and was stopped" },
  quiet = { "timeout", "too long with no output" },
  cancelled = { "cancelled", "cancelled" },
}

-- --- the task that reads -------------------------------------------------------------------------

local function wake(self)
  local waiting = self.waiting
  self.waiting = nil
  if waiting then waiting:unpark() end
end

local function take_end(self, payload)
  local result, why = answers.ending(payload)
  local ended_by = ENDED_BY[why]
  if not result then
    self.failure = why
  elseif ended_by then
    self.failure = error_value.new { kind = ended_by[1], message = ended_by[2] }
  else
    result.seconds = task.clock() - self.started
    self.result = result
  end
end

-- Until the end has been told.
local function read_all(self)
  while true do
    local kind, payload = self.wire:take()
    self.silent = 0
    if STREAMS[kind] then
      if not self.dropping then
        self.held[#self.held + 1] = { payload, STREAMS[kind] }
        self.held_bytes = self.held_bytes + #payload
        wake(self)
        while self.held_bytes > HELD_MAX and not self.dropping do
          self.full = task.current()
          task.park()
        end
      end
    elseif kind == "b" then
      self.process = math.tointeger((answers.text(payload)))
      wake(self)
    elseif kind == "d" then
      self.whole = self.wire:send "k"
      return take_end(self, payload)
    elseif kind ~= "h" then
      self.failure = kind and answers.failure(payload) or payload
      return
    end
  end
end

-- A daemon that hangs, or whose machine is gone, ends no connection.
local function watch(self)
  while true do
    task.sleep(BEAT)
    self.silent = self.full and 0 or self.silent + 1
    if self.silent > SILENT_BEATS then
      self.running:cancel(error_value.new { kind = "timeout", op = "docker",
        message =
          ("container %s: no sign of life for %d s; is its daemon alive?"):format(self.place.id:sub(1, 12),
          SILENT_BEATS * BEAT) })
      return
    end
    self.wire:send "p"
  end
end

local function attend(self, spec)
  local failure
  self.wire, failure = self.place.shims:take(true)
  if not self.wire then
    self.failure = failure
    return
  end
  request.send(self.wire, self.place.identity, self.ended, spec)
  self.sent = true
  self.watcher = task.spawn(watch, self)
  read_all(self)
end

-- Cancelled: the tree is ended, and its end awaited, before this task is over. What has not been
-- asked for in full has not begun.
local function end_tree(self)
  self.dropping = true
  if self.sent and self.wire:send("c") then read_all(self) end
end

-- It had ended by itself, but what it printed last may never have come.
local function cut(self, failure)
  self.result.cut = failure
  self.held[#self.held + 1] =
    { ("(%s; the end of this output may be missing)\n"):format(failure.message), "stdout" }
end

-- The connection broke, and with it goes what ran: how it ended is in a file.
local function find_end(self, seconds)
  local deadline = task.clock() + seconds
  repeat
    local found, text = self.place.root:ask_once("R", { self.ended, HELD_MAX })
    if found then
      local failure = self.failure
      self.failure = nil
      take_end(self, text)
      if self.failure then self.failure = failure else cut(self, failure) end
      self.place.root:ask_once("X", { self.ended })
      return
    end
    task.sleep(POLL)
  until loss.of_container(self.place) or task.clock() > deadline
end

local function live(self, spec)
  local good, problem = pcall(attend, self, spec)
  local seconds = self.end_seconds
  if not good and error_value.is(problem) and problem.op == wire.OP then
    good, self.failure = true, problem
  elseif not good then
    pcall(branches.cleanup, function() end_tree(self) end, seconds)
    self.result, self.failure = nil, problem
  end
  if self.watcher then
    self.watcher:cancel(error_value.new { kind = "cancelled", message = "it has ended" })
  end
  local link = self.wire
  self.wire = nil
  if self.whole then self.place.shims:give(link) elseif link then link:close() end
  if good and self.failure and self.failure.op == wire.OP then
    pcall(branches.cleanup, function()
      if self.sent then find_end(self, seconds) end
      if self.failure then self.failure = loss.explain(self.place, self.failure) end
    end, seconds + END_SECONDS)
  end
  self.over = true
  wake(self)
end

-- --- what the others call ------------------------------------------------------------------------

local function wait_for_news(self)
  if self.waiting then error("another task waits for this child already", 3) end
  self.waiting = task.current()
  local _ <close> = setmetatable({}, { __close = function() self.waiting = nil end })
  task.park()
end

local function go_on(self)
  local full = self.full
  self.full = nil
  if full then full:unpark() end
end

--- As child:read of orch.proc.
---@return string? piece, string? stream
function Child:read()
  while #self.held == 0 and not self.over do wait_for_news(self) end
  local first = table.remove(self.held, 1)
  if not first then return nil end
  self.held_bytes = self.held_bytes - #first[1]
  if self.held_bytes <= HELD_MAX then go_on(self) end
  return first[1], first[2]
end

--- As child:wait of orch.proc.
---@return orch.proc.result? result, orch.error? err
function Child:wait()
  self.held, self.held_bytes, self.dropping = {}, 0, true
  go_on(self)
  while not self.over do wait_for_news(self) end
  if self.failure then return nil, self.failure end
  return self.result
end

--- Asks the program and all that it started to end.
function Child:cancel()
  if not self.over then
    self.running:cancel(error_value.new { kind = "cancelled", message = "cancelled" })
  end
end

--- Signals the program's group; waits.
---@param number integer
function Child:signal(number)
  if not self.over and self.wire then self.wire:send("s", string.char(number)) end
end

--- Its process id as the container has it; nil when it has ended.
---@return integer?
function Child:pid() return not self.over and self.process or nil end

-- Whoever started it goes on when nothing of it is left.
function Child:__close()
  self:cancel()
  if not self.over then branches.cleanup(function() self:wait() end, self.end_seconds) end
end

local KNOWN <const> = { argv = "table", cwd = "string", env = "table", input = "any",
  split = "boolean", grace = "number", timeout = "number", quiet = "number", output_max = "number" }

local function check(spec)
  for key in pairs(spec) do
    if not KNOWN[key] then
      error(("proc.start: unknown option '%s' in a container (known: argv, cwd, env, grace, input, output_max, "
        .. "quiet, split, timeout)"):format(tostring(key)), 4)
    end
  end
  if #spec.argv == 0 then error("proc.start: option 'argv' is empty", 4) end
end

-- Where the shim leaves word of a program's end.
local function ended_path() return wire.DIR .. "/ended-" .. random.hex(8) end

--- Starts a program; it belongs to the task that calls.
---@param place { engine: table, id: string, identity: table, root: table, shims: table } the container
---@param spec orch.proc.options with env and cwd
---@return table? child, table? err
local function start(place, spec)
  check(spec)
  local self =
    setmetatable({ place = place, ended = ended_path(), silent = 0, held = {}, held_bytes = 0,
      started = task.clock(), end_seconds = (spec.grace or request.GRACE) + END_SECONDS }, Child)
  self.running = task.spawn(live, self, spec)
  while not self.process and not self.over do wait_for_news(self) end
  if not self.process and self.failure then return nil, self.failure end
  return self
end

--- Runs a program to its end.
local function run(place, spec)
  local output_max = spec.output_max or 16 * 1024 * 1024
  local child <close>, failure = start(place, spec)
  if not child then return nil, failure end
  local kept, sums = { stdout = {}, stderr = {} }, { stdout = 0, stderr = 0 }
  for piece, stream in child.read, child do
    sums[stream] = sums[stream] + #piece
    if sums[stream] > output_max then
      child:cancel()
      child:wait()
      return nil, error_value.new { kind = "limit",
        message = ("the program printed more than %d bytes and was stopped"):format(output_max) }
    end
    table.insert(kept[stream], piece)
  end
  local result
  result, failure = child:wait()
  if not result or result.cut then return nil, failure or result.cut end
  result.stdout = table.concat(kept.stdout)
  result.stderr = spec.split and table.concat(kept.stderr) or nil
  return result
end

return { start = start, run = run }
