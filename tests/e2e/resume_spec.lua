local db = require "orch.db"
local fs = require "orch.fs"
local support = require "e2e.support"
local task = require "orch.task"

local STEPS <const> = 30
local KILLS <const> = tonumber(os.getenv("ORCH_TEST_KILLS")) or 200

-- Each step's effect comes after a sleep, so that an orphan would do it beside the resumed step.
local RECIPE <const> = [[
local orch = require "orch"
local effects = os.getenv("SPEC_EFFECTS")
local function effect(job, name)
  job:run { name = name, ("sleep 0.01; echo %s >> %s"):format(name, effects) }
end
return orch.pipeline {
  orch.job { name = "first", run = function(job)
    for i = 1, 10 do effect(job, "first" .. i) end
    job:persist_to_workspace { root = ".", paths = { "." } }
    return { stamp = job:now() }
  end },
  orch.job { name = "second", needs = { "first" }, run = function(job)
    job:attach_workspace { at = "in" }
    job:group("ten in a group", function()
      for i = 1, 10 do effect(job, "second" .. i) end
    end)
    orch.all {
      left = function() for i = 1, 5 do effect(job, "left" .. i) end end,
      right = function() for i = 1, 5 do effect(job, "right" .. i) end end,
    }
    job:write { path = "stamp", text = tostring(job.needs.first.stamp) }
  end },
}
]]

local function count_lines(path)
  local counts = {}
  for line in (fs.stat(path) and assert(fs.read(path)) or ""):gmatch("[^\n]+") do counts[line] = (counts[line] or 0) + 1 end
  return counts
end

local function recorded(scratch)
  local base, names = db.open(scratch:path("state/orch.db")), {}
  for _, row in ipairs(base:exec("SELECT title FROM steps WHERE state = 'success' AND verb = 'run'") or {}) do
    names[row.title] = true
  end
  base:close()
  return names
end

local function run_state(scratch)
  local base = db.open(scratch:path("state/orch.db"))
  local rows = base:exec("SELECT state FROM runs")
  base:close()
  return rows and rows[1] and rows[1].state
end

-- One session: a run or a resume, killed at a random moment; has it finished?
local function session(scratch, environment, mortal)
  local effects = environment.SPEC_EFFECTS
  local done_before = fs.stat(scratch:path("state/orch.db")) and recorded(scratch) or {}
  local counts_before = count_lines(effects)
  local begun = fs.stat(scratch:path("state/orch.db")) and run_state(scratch) ~= nil
  local child = scratch:start(begun and { "resume", "1" } or { "run", scratch:path("recipe.lua") }, environment)
  local pid = mortal and scratch:pid_of(child)
  if pid then
    task.sleep(0.005 + math.random() * 0.12)
    os.execute("kill -9 " .. pid .. " 2>/dev/null")
  end
  local text = {}
  for piece in child.read, child do text[#text + 1] = piece end
  local result = assert(child:wait())
  if result.signal ~= 9 then assert.equal(0, result.code, table.concat(text)) end

  -- what was recorded before has not been done again
  local at_death = count_lines(effects)
  for name in pairs(done_before) do assert.equal(counts_before[name], at_death[name], name .. " was repeated") end
  -- and nobody goes on doing things after the death
  task.sleep(0.03)
  assert.same(at_death, count_lines(effects), "an orphan did something")
  return run_state(scratch) == "success"
end

describe("resume", function()
  it("repeats nothing that is recorded and loses nothing, at 200 random deaths", function()
    math.randomseed(os.time())
    local kills = 0
    while kills < KILLS do
      local scratch = support.scratch()
      scratch:write("recipe.lua", RECIPE)
      local environment = { SPEC_EFFECTS = scratch:path("effects") }
      while not session(scratch, environment, kills < KILLS) do kills = kills + 1 end
      local total = 0
      for _ in pairs(count_lines(environment.SPEC_EFFECTS)) do total = total + 1 end
      assert.equal(STEPS, total)
      assert.same({}, scratch:leftovers(true))
      scratch:remove()
    end
  end)
end)
