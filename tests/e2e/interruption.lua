-- Runs that are killed at a place of the spec's choice, and what is made of them afterwards.
local fs = require "orch.fs"
local json = require "orch.json"
local support = require "e2e.support"
local task = require "orch.task"

local Interruption = {}
Interruption.__index = Interruption

--- Writes a recipe that has `say(job, WHAT)`, a step on the trace, and `die(job)`; its path.
function Interruption:recipe(text)
  return self.scratch:write("recipe.lua", ([[
local orch = require "orch"
local function say(job, what) job:run { name = "say " .. what, ("echo %%s >> %s"):format(what) } end
-- Waits to be killed, the first time only.
local function die(job) job:run { name = "die", "test -e %s && exit 0; touch %s; sleep 60" } end
]]):format(self.trace, self.go, self.go) .. text)
end

--- What steps have said, in a line.
function Interruption:traced()
  local words = {}
  for word in (fs.stat(self.trace) and fs.read(self.trace) or ""):gmatch("[^\n]+") do
    words[#words + 1] = word
  end
  return table.concat(words, " ")
end

--- Kills a run that has come to `die`.
function Interruption:kill(child)
  for _ = 1, 1000 do
    if fs.stat(self.go) then break end
    task.sleep(0.01)
  end
  assert(fs.stat(self.go), "it never came to its end")
  os.execute("kill -9 " .. self.scratch:pid_of(child))
  for _ in child.read, child do end
  child:wait()
end

function Interruption:run_and_kill(text, ...)
  self:kill(self.scratch:start { "run", self:recipe(text), ... })
end

function Interruption:resume(...) return self.scratch:orch { "resume", ... } end

function Interruption:shown() return json.decode(self.scratch:orch({ "show", "--json" }).out) end

--- In a scratch directory that the caller removes.
local function new()
  local scratch = support.scratch()
  return setmetatable({ scratch = scratch, trace = scratch:path("trace"), go = scratch:path("go") },
    Interruption)
end

return { new = new }
