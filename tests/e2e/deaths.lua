-- Runs that are killed at random moments and resumed until they end, each session watched.
local assert = require "luassert"
local db = require "orch.db"
local fs = require "orch.fs"
local support = require "e2e.support"
local task = require "orch.task"

--- How many there should be; each spec has its share.
local function kills(share)
  return math.ceil((tonumber(os.getenv("ORCH_TEST_KILLS")) or 200) * share)
end

--- How often each line is in a file.
local function count_lines(path)
  local counts = {}
  for line in (fs.stat(path) and assert(fs.read(path)) or ""):gmatch("[^\n]+") do
    counts[line] = (counts[line] or 0) + 1
  end
  return counts
end

local function query(scratch, sql)
  local base = db.open(scratch:path("state/orch.db"))
  local rows = base:exec(sql)
  base:close()
  return rows or {}
end

-- Tidying up is done again for what a session did again.
local RECORDED <const> =
  [[SELECT title FROM steps WHERE state = 'success' AND verb = 'run' AND again = 0
  AND id NOT LIKE '%~tidying%']]

local function recorded(scratch)
  local names = {}
  for _, row in ipairs(query(scratch, RECORDED)) do
    names[row.title] = true
  end
  return names
end

local function run_state(scratch)
  return (query(scratch, "SELECT state FROM runs")[1] or {}).state
end

--- Starts orch, and kills it at a random moment within so many seconds; its result and what it
--- printed.
local function mortal(scratch, args, environment, seconds)
  local child = scratch:start(args, environment)
  local pid = seconds and scratch:pid_of(child)
  if pid then
    task.sleep(math.random() * seconds)
    os.execute("kill -9 " .. pid .. " 2>/dev/null")
  end
  local text = {}
  for piece in child.read, child do text[#text + 1] = piece end
  return assert(child:wait()), table.concat(text)
end

-- One session: a run or a resume, killed at a random moment; has it finished?
local function session(scratch, environment, seconds)
  local effects = environment.SPEC_EFFECTS
  local there = fs.stat(scratch:path("state/orch.db")) ~= nil
  local done_before, counts_before = there and recorded(scratch) or {}, count_lines(effects)
  local begun = there and run_state(scratch) ~= nil
  local result, text = mortal(scratch,
    begun and { "resume", "1" } or { "run", scratch:path("recipe.lua"), "-j", "4" },
    environment, seconds)
  if result.signal ~= 9 then assert.equal(0, result.code, text) end

  -- what was recorded before has not been done again
  local at_death = count_lines(effects)
  for name in pairs(done_before) do
    assert.equal(counts_before[name], at_death[name], name .. " was repeated")
  end
  -- and nobody goes on doing things after the death
  task.sleep(0.03)
  assert.same(at_death, count_lines(effects), "an orphan did something")
  return run_state(scratch) == "success"
end

-- What a run has come to: its jobs with their outputs, its steps, its layers, the effects that it
-- had.
local function outcome(scratch, effects)
  local jobs, steps, names = {}, {}, {}
  for _, each in ipairs(query(scratch, "SELECT name, state, outputs FROM jobs ORDER BY name")) do
    jobs[each.name] = { each.state, each.outputs }
  end
  for _, each in ipairs(query(scratch, "SELECT id, state, options, verb, result FROM steps")) do
    steps[each.id] = { each.state, each.options, each.verb == "read" and each.result or nil }
  end
  for name in pairs(count_lines(effects)) do names[name] = true end
  return { jobs = jobs, steps = steps, effects = names,
    layers = query(scratch, "SELECT job, step, entries, paths FROM layers ORDER BY step") }
end

--- Runs a recipe undisturbed, then with that many deaths: nothing that is recorded is repeated,
--- nothing is lost, nothing goes on after a death, and the outcome is the same.
---@param recipe string its effects go to the file $SPEC_EFFECTS, each a line that is the title of its step
---@param count integer deaths
---@param seconds number a session lives at most so long
local function survive(recipe, count, seconds)
  local function fresh()
    local scratch = support.scratch()
    scratch:write("recipe.lua", recipe)
    return scratch, { SPEC_EFFECTS = scratch:path("effects") }
  end
  local scratch, environment = fresh()
  assert.is_true(session(scratch, environment, nil))
  local undisturbed = outcome(scratch, environment.SPEC_EFFECTS)
  for name, times in pairs(count_lines(environment.SPEC_EFFECTS)) do
    assert.equal(1, times, name)
  end
  scratch:remove()
  local died = 0
  while died < count do
    scratch, environment = fresh()
    while not session(scratch, environment, died < count and seconds or nil) do died = died + 1 end
    assert.same(undisturbed, outcome(scratch, environment.SPEC_EFFECTS))
    assert.same({}, scratch:leftovers(true))
    assert.same({ { integrity_check = "ok" } }, { query(scratch, "PRAGMA integrity_check")[1] })
    scratch:remove()
  end
end

return { survive = survive, mortal = mortal, query = query, kills = kills }
