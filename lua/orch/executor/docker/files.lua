-- Files in the container, by the shim: as the job's user sees them, whatever the image has.
local answers = require "orch.executor.docker.answers"
local branches = require "orch.branches"
local error_value = require "orch.error"
local fs = require "orch.fs"
local loss = require "orch.executor.docker.loss"
local turn = require "orch.executor.docker.turn"
local wire = require "orch.executor.docker.wire"

local READ_MAX <const> = 64 * 1024 * 1024
local PIECE <const> = 1024 * 1024
local PATHS_AT_ONCE <const> = 10000
local ANSWER_SECONDS <const> = 300 -- a large tree takes its time to be deleted

-- --- one shim that answers, one request at a time ------------------------------------------------

local Server = {}
Server.__index = Server

--- place: { engine, id } of the container; shims: who answers.
local function server(place, shims)
  return setmetatable({ place = place, shims = shims, turn = turn.new() }, Server)
end

local function payload_of(texts)
  for i, each in ipairs(texts) do
    texts[i] = tostring(each)
    if texts[i]:find("\0", 1, true) then error("a path that holds a NUL", 4) end
  end
  return table.concat(texts, "\0") .. "\0"
end

local function send_bytes(link, bytes)
  if type(bytes) == "userdata" then
    assert(link:send("w", bytes))
  else
    for at = 1, #bytes, PIECE do assert(link:send("w", bytes:sub(at, at + PIECE - 1))) end
  end
  assert(link:send("g"))
end

local function read_reply(link)
  local pieces = {}
  while true do
    local kind, payload = assert(link:take())
    if kind == "o" then
      pieces[#pieces + 1] = payload
    elseif kind == "k" then
      return payload, table.concat(pieces)
    else
      return nil, answers.failure(payload)
    end
  end
end

local function exchange(link, kind, texts, bytes)
  assert(link:send(kind, payload_of(texts)))
  if bytes then send_bytes(link, bytes) end
  return read_reply(link)
end

local function attempt(self, kind, texts, bytes, sure)
  local link, failure = self.shims:take(sure)
  if not link then return nil, failure end
  local whole = false
  -- Half an exchange leaves the connection useless.
  local _ <close> = setmetatable({}, { __close = function()
    if whole then self.shims:give(link) else link:close() end
  end })
  local reply = table.pack(pcall(branches.timeout, ANSWER_SECONDS, function()
    return exchange(link, kind, texts, bytes)
  end))
  whole = reply[1]
  if whole then return reply[2], reply[3] end
  if not error_value.is(reply[2]) then error(reply[2], 0) end
  if reply[2].kind == "timeout" then
    reply[2].message =
      ("container %s: no answer within %d s; is its daemon alive?"):format(self.place.id:sub(1, 12),
      ANSWER_SECONDS)
  end
  return nil, reply[2]
end

--- One request: the k frame's payload and the bytes before it, or nil, err; sure: by a connection
--- that is known to be good.
function Server:ask_once(kind, texts, bytes, sure)
  local _ <close> = self.turn:take()
  return attempt(self, kind, texts, bytes, sure)
end

--- The same. A connection that broke while nobody used it is made again, and what has become of the
--- container is told.
function Server:ask(kind, texts, bytes)
  local reply, result = self:ask_once(kind, texts, bytes)
  if reply or result.op ~= wire.OP then return reply, result end
  -- appending twice would do harm
  if kind ~= "A" then reply, result = self:ask_once(kind, texts, bytes, true) end
  if reply or result.op ~= wire.OP then return reply, result end
  return nil, loss.explain(self.place, result)
end

--- Who the container's user is: uid, gid, groups, and the environment that the daemon makes.
function Server:identity()
  return assert(answers.identity(assert(self:ask("I", {}))))
end

--- Gives paths to an owner, with all below them if asked; mode 0 leaves modes alone.
function Server:own(paths, owner, below, mode)
  for at = 1, #paths, PATHS_AT_ONCE do
    local texts = { owner.uid, owner.gid, below and 1 or 0, mode or 0 }
    table.move(paths, at, math.min(at + PATHS_AT_ONCE - 1, #paths), 5, texts)
    local good, failure = self:ask("O", texts)
    if not good then return nil, failure end
  end
  return true
end

--- Does something listen there, as seen from the container? What it says first, if words are sent.
---@return string? reply, table? err
function Server:probe(address, port, seconds, words)
  return self:ask("T", { address, port, math.floor((seconds or 2) * 1000), words or "" })
end

-- --- as job.fs -----------------------------------------------------------------------------------

--- The functions of job.fs; relative paths count from dir.
local function functions(asked, dir)
  local self = {}
  local function inside(path) return fs.join(dir, path) end
  self.inside = inside

  local function good(kind, texts, bytes)
    local reply, failure = asked:ask(kind, texts, bytes)
    if not reply then return nil, failure end
    return true
  end
  function self.read(path, max)
    local reply, bytes = asked:ask("R", { inside(path), max or READ_MAX })
    if not reply then return nil, bytes end
    return bytes
  end
  function self.write(path, bytes, how)
    how = how or {}
    return good("W", { inside(path), how.mode or 0, how.durable and 1 or 0 }, bytes)
  end
  function self.append(path, bytes, how)
    how = how or {}
    return good("A", { inside(path), how.mode or 0, how.durable and 1 or 0 }, bytes)
  end
  function self.stat(path)
    local reply, failure = asked:ask("S", { inside(path) })
    if not reply then return nil, failure end
    return answers.stat(reply)
  end
  function self.list(path)
    local reply, failure = asked:ask("L", { inside(path) })
    if not reply then return nil, failure end
    return answers.texts(reply)
  end
  function self.make_dir(path, mode)
    return good("D", { inside(path), mode or tonumber("777", 8) })
  end
  --- Not of job.fs: the path without links.
  function self.real(path)
    local reply = assert(asked:ask("P", { inside(path) }))
    return assert(answers.text(reply))
  end
  --- Not of job.fs: whether the user may make files in that directory; true, or nil, err.
  function self.may_write(path) return good("C", { inside(path) }) end
  function self.remove(path) return good("X", { inside(path) }) end
  return self
end

return { server = server, functions = functions }
