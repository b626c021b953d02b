-- What a recipe says by itself, with print or io.write: lines of the step or job that says it, or
-- of the run outside of jobs. So they are masked, in order, and in the log, and `--format json`
-- stays JSON.
local scope = require "orch.scope"
local secret = require "orch.secret"
local step = require "orch.step"
local term = require "orch.term"

local Words = {}
Words.__index = Words

--- held: words outside of jobs wait for a run to take them; else they go to stderr.
---@param held? boolean
local function new(held) return setmetatable({ held = held, pending = {} }, Words) end

local function to_stderr(text)
  for line, ending in text:gmatch("([^\n]*)(\n?)") do
    io.stderr:write(term.printable(line), ending)
  end
end

-- Outside of jobs.
function Words:say_aside(text)
  if self.output then return self.output:write(text) end
  if self.held then table.insert(self.pending, text) else to_stderr(text) end
end

function Words:say(text)
  local place = scope.current()
  local job = place and place:root().job
  local current = job and not job.planning and step.current()
  if current then return current.output:write(text) end
  if job and not job.planning then return job:say(text) end
  return self:say_aside(text)
end

--- The run that takes them: what has been said, and what will be.
---@param output table see orch.output
function Words:go_to(output)
  self.output = output
  for _, text in ipairs(self.pending) do output:write(text) end
  self.pending = {}
end

local function say_all(self, ...)
  for i = 1, select("#", ...) do
    local each = select(i, ...)
    if type(each) ~= "string" and type(each) ~= "number" and not secret.is(each) then
      error(("bad argument #%d to 'write' (string expected, got %s)"):format(i, type(each)), 3)
    end
    self:say(tostring(each))
  end
end

-- In place of io.stdout and io.stderr.
local function stream(self, file)
  local methods = {}
  function methods.write(one, ...)
    say_all(self, ...)
    return one
  end
  function methods.flush(one) return one end
  function methods.setvbuf() return true end
  function methods.close() return nil, "the recipe's output is the run's" end
  return setmetatable({},
    { __index = methods, __name = "FILE*", __tostring = function() return tostring(file) end })
end

--- print, and io with its writing side turned to the run.
---@param library table a copy of io
---@return fun(...) print
---@return table io
function Words:functions(library)
  local out, redirected = stream(self, io.stdout), nil
  library.stdout, library.stderr = out, stream(self, io.stderr)
  function library.output(file)
    if type(file) == "string" then redirected = assert(io.open(file, "w")) end
    if type(file) == "userdata" then redirected = file end
    if file == out then redirected = nil end
    return redirected or out
  end
  function library.write(...)
    if redirected then return redirected:write(...) end
    say_all(self, ...)
    return out
  end
  local function print(...)
    local texts = table.pack(...)
    for i = 1, texts.n do texts[i] = tostring(texts[i]) end
    self:say(table.concat(texts, "\t") .. "\n")
  end
  return print, library
end

return { new = new }
