-- orch show [RUN] [--json]: what a run did
local args = require "orch.cli.args"
local clock = require "orch.ui.clock"
local fs = require "orch.fs"
local json = require "orch.json"
local materials = require "orch.materials"
local project = require "orch.project"
local record = require "orch.record"
local runs = require "orch.cli.runs"
local say = require "orch.cli.say"
local state = require "orch.state"

local SPEC <const> = { command = "show", positional = { "run" },
  flags = { json = "boolean", project = "string" } }

local function time_taken(row)
  return row.ended and row.started and clock.duration(row.ended - row.started) or ""
end

-- Jobs on record in the order in which they began; then those that wait for their turn.
local function jobs_of(opened, number)
  local jobs, known = opened:all("jobs", number), {}
  table.sort(jobs, function(a, b)
    if a.started ~= b.started then return (a.started or math.huge) < (b.started or math.huge) end
    return a.name < b.name
  end)
  for _, job in ipairs(jobs) do known[job.name] = true end
  for _,
    planned in ipairs(opened:rows("SELECT names FROM planned WHERE run = ? ORDER BY seq",
    number)) do
    for _, name in ipairs(record.decode(planned.names)) do
      if not known[name] then jobs[#jobs + 1] = { name = name, state = "waiting", attempt = 1 } end
      known[name] = true
    end
  end
  return jobs
end

-- Where the files of a job are as long as they stay: until its run has succeeded, or is given up.
local function dir_of(opened, number, job)
  local place = job.attempt > 1 and ("%s~%d"):format(job.name, job.attempt) or job.name
  local dir = ("%s/jobs/%s/work"):format(opened:run_dir(number), place)
  return fs.stat(dir) and dir or nil
end

local function read(opened, row)
  local shown = runs.plain(opened, row)
  local function state_of(part)
    return part.state == "running" and shown.state == "interrupted" and "interrupted" or part.state
  end
  shown.project = row.project
  shown.rerun_of = record.decode(row.options).rerun_of
  shown.materials = materials.of_run(opened, row)
  shown.jobs, shown.steps = json.array {}, json.array {}
  for i, job in ipairs(jobs_of(opened, row.number)) do
    shown.jobs[i] = { name = job.name, state = state_of(job), attempt = job.attempt,
      started = job.started, ended = job.ended, error = job.error,
      dir = dir_of(opened, row.number, job),
      outputs = job.outputs and record.decode(job.outputs) or nil }
  end
  for i, step in ipairs(opened:steps(row.number)) do
    shown.steps[i] = { id = step.id, job = step.job, parent = step.parent, verb = step.verb,
      title = step.title,
      where = step.place, state = state_of(step), started = step.started, ended = step.ended,
      error = step.error,
      log = step.log and opened:run_dir(row.number) .. "/" .. step.log or nil,
      artifacts = step.artifacts and record.decode(step.artifacts) or nil }
  end
  return shown
end

local function row(...) say((table.concat({ ... }, "  "):gsub(" +$", ""))) end

local function print_job(job, steps)
  row("\n" .. job.name, job.state, time_taken(job),
    job.attempt > 1 and ("attempt %d"):format(job.attempt) or nil)
  for _, step in ipairs(steps or {}) do
    local _, depth = step.parent:gsub("/", "")
    row(("  %s%-11s %s"):format(("  "):rep(depth), step.state, step.title), time_taken(step))
    for _, artifact in ipairs(step.artifacts or {}) do
      row(("            %s %s"):format(artifact.kind, artifact.name), artifact.digest)
    end
  end
  if job.error then say("  " .. job.error) end
  if job.dir and job.state ~= "success" then say("  its files: " .. job.dir) end
end

local function main(given)
  local parsed = args.parse(SPEC, given)
  local opened = state.open(project.find(parsed.project))
  local shown = read(opened, opened:run(args.run_number("show", parsed.run)))
  opened:close()
  if parsed.json then
    print(json.encode(shown, { pretty = true }))
    return 0
  end
  say(("run %d of %s: %s"):format(shown.number, shown.recipe, shown.state))
  local of_job = {}
  for _, step in ipairs(shown.steps) do
    of_job[step.job] = of_job[step.job] or {}
    table.insert(of_job[step.job], step)
  end
  for _, job in ipairs(shown.jobs) do print_job(job, of_job[job.name]) end
  return 0
end

return { main = main, spec = SPEC }
