-- orch resume [RUN] [--from STEP] [--recipe FILE] [--why]
local args = require "orch.cli.args"
local error_value = require "orch.error"
local project = require "orch.project"
local recipe = require "orch.recipe"
local run = require "orch.run"
local state = require "orch.state"
local step = require "orch.step"
local ui = require "orch.ui"

local SPEC <const> = {
  command = "resume",
  positional = { "run" },
  flags = { answer = "list", from = "string", recipe = "string", why = "boolean",
    project = "string",
    format = "string", json = "boolean" },
}

local NAMED <const> = [[SELECT id, job, title FROM steps
  WHERE run = ?1 AND (id = ?2 OR title = ?2 OR verb = ?2 OR job || '/' || title = ?2 OR job = ?2)
  ORDER BY seq]]
local TOLD_MAX <const> = 10

-- Refuses a name that means steps of several jobs: those before would be done again, or not, by
-- chance.
local function refuse_several(rows, name)
  local places = {}
  for i = 1, math.min(#rows, TOLD_MAX) do
    places[i] = ("%s/%s"):format(rows[i].job, rows[i].title)
  end
  error(error_value.new { kind = "usage", message = ("several jobs have a step '%s'"):format(name),
    hint = "say whose: --from " .. table.concat(places, ", or ") }, 0)
end

-- The place of the step that a person names by place, title, job/title or verb, or as the first of
-- a job.
local function place_of(opened, number, name)
  local rows = opened:rows(NAMED, number, name)
  for _, row in ipairs(rows) do
    if row.id == name then return row.id end
  end
  for _, row in ipairs(rows) do
    if row.job ~= rows[1].job then refuse_several(rows, name) end
  end
  if rows[1] then return rows[1].id end
  local titles = {}
  for _,
    each in ipairs(opened:rows("SELECT DISTINCT title FROM steps WHERE run = ? LIMIT 1000",
    number)) do
    titles[#titles + 1] = each.title
  end
  error(error_value.new { kind = "missing",
    message = ("run %d has no step '%s'%s"):format(number, name,
    require "orch.nearest".hint(name, titles)) }, 0)
end

local function newest_open(opened)
  for _,
    row in ipairs(opened:rows("SELECT * FROM runs WHERE state <> 'success' AND state <> 'discarded' ORDER BY number DESC")) do
    if opened:state_of(row) ~= "live" then return row end
  end
  error(error_value.new { kind = "missing",
    message = "no run of this project is waiting to be resumed",
    hint = "`orch runs` lists them; `orch rerun RUN` does a finished one again" }, 0)
end

local function check(opened, row)
  local now = opened:state_of(row)
  if now == "live" then
    error(error_value.new { kind = "conflict",
      message = ("run %d is live: another process works on it"):format(row.number),
      hint = ("follow it: orch logs %d --follow; or end it: orch cancel %d"):format(row.number,
        row.number) }, 0)
  end
  if now == "success" or now == "discarded" then
    error(error_value.new { kind = "conflict",
      message = ("run %d is %s: its job directories are gone"):format(row.number,
      now == "success" and "done" or now),
        hint = ("do it again: orch rerun %d"):format(row.number) }, 0)
  end
end

--- The recipe of a run, from where it was or is now. A failure says that the run stays as it is.
---@param row table of the run
---@param path? string where it is now
---@param command string that asks
local function load_recipe(row, path, command)
  local good, loaded = pcall(recipe.load, path or row.recipe, true)
  if good then return loaded end
  local failure = step.locate(loaded)
  if failure.kind == "missing" and not path then
    failure.message = ("the recipe of run %d is gone: %s"):format(row.number, row.recipe)
    failure.hint = ("say where it is now: orch %s %d --recipe FILE"):format(command, row.number)
  end
  if failure.kind ~= "missing" or not failure.hint then -- after what is to be mended
    failure.hint = ("%srun %d stays as it is: mend the recipe, then orch %s %d"):format(
      failure.hint and failure.hint .. "\n" or "", row.number, command, row.number)
  end
  error(failure, 0)
end

local function main(given)
  local parsed = args.parse(SPEC, given)
  local here = project.find(parsed.project)
  local opened = state.open(here)
  local number = args.run_number("resume", parsed.run)
  local row = number and opened:run(number) or newest_open(opened)
  check(opened, row)
  local from = parsed.from and place_of(opened, row.number, parsed.from)
  local loaded = load_recipe(row, parsed.recipe, "resume")
  return ui.report(ui.format(parsed), function(reporters)
    return run.resume { recipe = loaded, project = here, row = row, state = opened, from = from,
      reporters = reporters,
      interactive = ui.interactive(ui.format(parsed)),
      answers = args.pairs_of("resume", "--answer", parsed.answer) }
  end, { why = parsed.why })
end

return { main = main, spec = SPEC, load_recipe = load_recipe, newest_open = newest_open,
  check = check }
