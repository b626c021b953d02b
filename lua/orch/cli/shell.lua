-- orch shell [RUN] [JOB] [-- COMMAND ARGUMENT...]
local args = require "orch.cli.args"
local environment = require "orch.environment"
local error_value = require "orch.error"
local nearest = require "orch.nearest"
local options = require "orch.options"
local project = require "orch.project"
local resume = require "orch.cli.resume"
local state = require "orch.state"
local term = require "orch.term"
local visit = require "orch.visit"

local SPEC <const> = { command = "shell", positional = { "run", "job" },
  flags = { recipe = "string", project = "string" } }

local SIGNALLED <const> = 128 -- as shells tell of a program that a signal has ended
local NO_STEP <const> = { secrets = {}, environment = {}, working_directory = "." }

local function missing(message, hint)
  error(error_value.new { kind = "missing", message = message, hint = hint }, 0)
end

-- What stands behind -- is a program's.
local function split(given)
  for i, each in ipairs(given) do
    if each == "--" then
      local command = table.move(given, i + 1, #given, 1, {})
      if #command == 0 then options.usage("orch shell: which command? (-- COMMAND ARGUMENT...)") end
      return table.move(given, 1, i - 1, 1, {}), command
    end
  end
  return given, nil
end

-- A name in the place of the run's number is a job of the newest one.
local function read(given)
  local parsed = args.parse(SPEC, given)
  if parsed.run and not parsed.job and not math.tointeger(tonumber(parsed.run)) then
    parsed.run, parsed.job = nil, parsed.run
  end
  parsed.run = args.run_number("shell", parsed.run)
  return parsed
end

-- --- which job -----------------------------------------------------------------------------------

-- The jobs that a run has begun, and of these the ones that did not succeed: the failed ones, if
-- there are any. One that was killed at once may have none of its first on record.
local function jobs_of(rows, pipeline)
  local begun, failed, others = {}, {}, {}
  for i, each in ipairs(rows) do
    begun[i] = each.name
    if each.state == "failed" then failed[#failed + 1] = each.name end
    if each.state ~= "success" and each.state ~= "not_run" then others[#others + 1] = each.name end
  end
  if #begun == 0 then return pipeline.names, pipeline.names end
  return begun, #failed > 0 and failed or others
end

local function choose(rows, pipeline, number, name)
  local begun, names = jobs_of(rows, pipeline)
  if name and nearest.contains(begun, name) then return name end
  if name then
    missing(("run %d has begun no job '%s'%s"):format(number, name, nearest.hint(name, begun)))
  end
  if #names == 1 then return names[1] end
  if #names == 0 then missing(("no job of run %d is to be gone on with"):format(number)) end
  local commands = {}
  for i, each in ipairs(names) do commands[i] = ("orch shell %d %s"):format(number, each) end
  error(error_value.new { kind = "usage",
    message = ("several jobs of run %d did not succeed: which one?"):format(number),
    hint = table.concat(commands, "\n") }, 0)
end

-- --- the shell -----------------------------------------------------------------------------------

local function say(masker, format, ...)
  io.stderr:write(term.printable(masker:apply(format:format(...))), "\n")
end

-- What is made again takes its time; warnings are for whoever looks.
local function teller(event)
  if event.type == "warning" then io.stderr:write("orch: ", term.printable(event.message), "\n") end
  if event.type == "visit.again" and term.is_tty(2) then
    io.stderr:write("again: ", term.printable(event.title), "\n")
  end
end

-- Where the shell is, and why.
local function introduce(job, at)
  local masker, number = job.bus.masker, job.journal.number
  if at.step then
    say(masker, "run %d, job %s, in place of the step: %s", number, job.name, at.step.title)
    if at.step.error then say(masker, "  %s: %s", at.step.state, at.step.error) end
  else
    say(masker, "run %d, job %s", number, job.name)
  end
  if at.failure then
    say(masker, "  its body did not come so far again: %s", at.failure.message)
  elseif at.spec and at.step and not at.reached then
    say(masker, "  the recipe has changed: its body comes to this first: %s", at.spec.title)
  end
  say(masker, "  %s; what you change here stays for: orch resume %d", job.dir, number)
end

-- bash reads BASH_ENV where it is not interactive, and else files that the step had not: so it is
-- to read that before its first prompt, and to take the prompt out of the environment.
local BEFORE_PROMPT <const> =
  'unset PROMPT_COMMAND; export -n PS1; [ ! -e "$BASH_ENV" ] || . "$BASH_ENV"'

local function interactive(job, set)
  local path, number = environment.shell(job), job.journal.number
  if not job.proc.has(path) then
    missing(("there is no shell: %s"):format(path),
      ("run a program that is there: orch shell %d %s -- PROGRAM"):format(number, job.name))
  end
  if path:find "bash$" then
    set.PS1 = ("[orch %d %s] \\w\\$ "):format(number, job.name)
    set.PROMPT_COMMAND = BEFORE_PROMPT
    return { path, "--norc", "--noprofile" }
  end
  set.PS1 = ("[orch %d %s] $ "):format(number, job.name)
  return { path, "-i" }
end

local function options_of(at)
  local spec = at.spec
  if spec and spec.verb == "run" then return spec.given end
  return not spec and at.last or NO_STEP
end

local function attach(job, at, command)
  local o = options_of(at)
  local set = environment.of_step(job, o)
  if not command then introduce(job, at) end
  local result = assert(job.proc.attach { argv = command or interactive(job, set), env = set,
    cwd = o.working_directory })
  return result.signal and SIGNALLED + result.signal or result.code
end

-- --- the command ---------------------------------------------------------------------------------

local function main(given)
  local own, command = split(given)
  local parsed = read(own)
  if not command and not term.is_tty(0) then
    options.usage("orch shell: there is no terminal; give a command: orch shell RUN JOB -- COMMAND")
  end
  local here = project.find(parsed.project)
  local opened = state.open(here)
  local row = parsed.run and opened:run(parsed.run) or resume.newest_open(opened)
  resume.check(opened, row)
  local _ <close> = opened:hold_run(row.number)
  local loaded = resume.load_recipe(row, parsed.recipe, "shell")
  local name = choose(opened:all("jobs", row.number), loaded.pipeline, row.number, parsed.job)
  local visited = visit.open { recipe = loaded, project = here, row = row, state = opened,
    tell = teller }
  if not visit.has(visited, name) then
    missing(("job '%s' is not in %s%s"):format(name, loaded.path,
      nearest.hint(name, loaded.pipeline.names)))
  end
  local code = visit.visit(visited, name, function(job, at) return attach(job, at, command) end)
  opened:close()
  return code
end

return { main = main, spec = SPEC }
