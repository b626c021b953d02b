-- A program in the container: what orch.proc.start gives on this machine.
--
-- A task of its own reads what the program prints and sees to its end, so that whoever started it can be cancelled at
-- any moment: nothing is left in the container when that task has ended.
local branches = require "orch.branches"
local error_value = require "orch.error"
local task = require "orch.task"
local wire = require "orch.executor.docker.wire"

local HELD_MAX <const> = 256 * 1024 -- bytes read ahead of child:read before the program must wait
local GRACE <const> = 5             -- seconds
local END_SECONDS <const> = 15      -- beyond the grace, for the shim to end the tree
local PIECE <const> = 1024 * 1024   -- of input

local Child = {}
Child.__index = Child

local STREAMS <const> = { o = "stdout", x = "stderr" }
local ENDED_BY <const> = {
  timeout = { "timeout", "the program took too long and was stopped" },
  quiet = { "timeout", "too long with no output" },
  cancelled = { "cancelled", "cancelled" },
}

-- --- the request ------------------------------------------------------------------------------------------------

local function milliseconds(seconds) return math.floor((seconds or 0) * 1000 + 0.5) end

-- Texts that end with a NUL each; one that is a secret makes the whole a secret.
local function packed(texts)
  local payload, plain = nil, {}
  for _, text in ipairs(texts) do
    if type(text) == "userdata" then
      payload = (payload or "") .. table.concat(plain) .. text
      plain = { "\0" }
    else
      plain[#plain + 1] = tostring(text) .. "\0"
    end
  end
  return payload and payload .. table.concat(plain) or table.concat(plain)
end

local function refuse_nul(key, text)
  if type(text) == "string" and text:find("\0", 1, true) then
    error(("proc.start: option '%s' holds a NUL"):format(key), 4)
  end
end

local function request_of(identity, spec)
  local texts = { milliseconds(spec.grace or GRACE), milliseconds(spec.timeout), milliseconds(spec.quiet),
    spec.split and 1 or 0, identity.uid, identity.gid, #identity.groups }
  table.move(identity.groups, 1, #identity.groups, #texts + 1, texts)
  table.move({ spec.cwd, #spec.argv }, 1, 2, #texts + 1, texts)
  for _, each in ipairs(spec.argv) do
    refuse_nul("argv", each)
    texts[#texts + 1] = each
  end
  local names = {}
  for name in pairs(spec.env) do names[#names + 1] = name end
  table.sort(names)
  texts[#texts + 1] = #names
  for _, name in ipairs(names) do
    refuse_nul("env", spec.env[name])
    texts[#texts + 1] = name .. "=" .. spec.env[name]
  end
  return packed(texts)
end

local function send_request(self, spec)
  assert(self.wire:send("r", request_of(self.identity, spec)))
  local input = spec.input
  if type(input) == "userdata" then
    assert(self.wire:send("i", input))
  elseif input then
    for at = 1, math.max(#input, 1), PIECE do assert(self.wire:send("i", input:sub(at, at + PIECE - 1))) end
  end
  assert(self.wire:send("g"))
end

-- --- the task that reads ----------------------------------------------------------------------------------------

local function wake(self)
  local waiting = self.waiting
  self.waiting = nil
  if waiting then waiting:unpark() end
end

local function take_end(self, payload)
  local word, value, user, system, rss, why = table.unpack(wire.texts(payload))
  local ended_by = ENDED_BY[why]
  if ended_by then
    self.failure = error_value.new { kind = ended_by[1], message = ended_by[2] }
    return
  end
  self.result = { code = word == "exit" and math.tointeger(value) or -1,
    signal = word == "signal" and math.tointeger(value) or nil, seconds = task.clock() - self.started,
    user = tonumber(user) / 1e6, system = tonumber(system) / 1e6, max_rss = math.tointeger(rss) * 1024 }
end

-- Until the end has been told.
local function read_all(self)
  while true do
    local kind, payload = self.wire:take()
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
      self.process = math.tointeger(wire.texts(payload)[1])
      wake(self)
    elseif kind == "d" then
      return take_end(self, payload)
    else
      self.failure = kind and wire.error_of(payload) or payload
      return
    end
  end
end

local function attend(self, connected, container, spec)
  local failure
  self.wire, failure = wire.open(connected, container, "step", "0")
  if not self.wire then
    self.failure = failure
    return
  end
  send_request(self, spec)
  self.sent = true
  read_all(self)
end

-- Cancelled: the tree is ended, and its end awaited, before this task is over. What has not been asked for in full
-- has not begun.
local function end_tree(self)
  self.dropping = true
  if self.sent and self.wire:send("c") then read_all(self) end
end

local function live(self, connected, container, spec)
  local good, problem = pcall(attend, self, connected, container, spec)
  if not good then
    pcall(branches.cleanup, function() end_tree(self) end, (spec.grace or GRACE) + END_SECONDS)
    self.result, self.failure = nil, problem
  end
  if self.wire then self.wire:close() end
  self.over = true
  wake(self)
end

-- --- what the others call ---------------------------------------------------------------------------------------

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

function Child:__close() self:cancel() end

local KNOWN <const> = { argv = "table", cwd = "string", env = "table", input = "any", split = "boolean",
  grace = "number", timeout = "number", quiet = "number", output_max = "number" }

local function check(spec)
  for key in pairs(spec) do
    if not KNOWN[key] then
      error(("proc.start: unknown option '%s' in a container (known: argv, cwd, env, grace, input, output_max, "
        .. "quiet, split, timeout)"):format(tostring(key)), 4)
    end
  end
  if #spec.argv == 0 then error("proc.start: option 'argv' is empty", 4) end
end

--- Starts a program; it belongs to the task that calls.
---@param connected table
---@param container string id
---@param identity { uid: integer, gid: integer, groups: integer[] }
---@param spec orch.proc.options with env and cwd
---@return table? child, table? err
local function start(connected, container, identity, spec)
  check(spec)
  local self = setmetatable({ identity = identity, held = {}, held_bytes = 0, started = task.clock() }, Child)
  self.running = task.spawn(live, self, connected, container, spec)
  while not self.process and not self.over do wait_for_news(self) end
  if not self.process and self.failure then return nil, self.failure end
  return self
end

--- Runs a program to its end.
local function run(connected, container, identity, spec)
  local output_max = spec.output_max or 16 * 1024 * 1024
  local child <close>, failure = start(connected, container, identity, spec)
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
  if not result then return nil, failure end
  result.stdout = table.concat(kept.stdout)
  result.stderr = spec.split and table.concat(kept.stderr) or nil
  return result
end

return { start = start, run = run }
