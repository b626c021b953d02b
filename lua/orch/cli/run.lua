-- orch run RECIPE [NAME=VALUE]…
local args = require "orch.cli.args"
local json = require "orch.json"
local options = require "orch.options"
local project = require "orch.project"
local say = require "orch.cli.say"
local state = require "orch.state"

local SPEC <const> = {
  command = "run",
  positional = { "recipe" },
  pairs = true,
  flags = { job = "list", project = "string", keep_going = "boolean", jobs = "integer",
    format = "string",
    params = "string", help = "boolean", answer = "list", json = "boolean", on_fail = "string" },
  short = { j = "jobs", k = "keep-going", h = "help" },
}

-- For programs: what a recipe may be given, and its jobs.
local function print_json(loaded)
  local params = require "orch.params"
  local pipeline, described = loaded.pipeline,
    { params = json.array(params.list(loaded.pipeline.params)), jobs = json.array {} }
  for i, name in ipairs(pipeline:order()) do
    described.jobs[i] = { name = name, needs = json.array(pipeline:needs(name)) }
  end
  print(json.encode(described, { pretty = true }))
  return 0
end

local function print_help(loaded, path)
  say(("orch run %s [NAME=VALUE]..."):format(path))
  local lines = require "orch.params".describe(loaded.pipeline.params)
  say(#lines > 0 and "\nparameters:\n" .. table.concat(lines, "\n") or "\nno parameters")
  print("\njobs:")
  for _, name in ipairs(loaded.pipeline:order()) do
    local needs = loaded.pipeline:needs(name)
    say(("  %s%s"):format(name, #needs > 0 and "  after " .. table.concat(needs, ", ") or ""))
  end
  return 0
end

-- A shell where a job failed. What is wrong with it is told beside that.
local function open_shell(parsed, number, failure)
  if not (number and failure.job) or failure.hold or failure.kind == "cancelled" then return end
  local words = { tostring(number), failure.job }
  if parsed.project then table.move({ "--project", parsed.project }, 1, 2, 3, words) end
  local good, problem = pcall(require "orch.cli.shell".main, words)
  if not good then failure.hint = ("no shell: %s"):format(problem) end
end

local function main(given)
  local parsed = args.parse(SPEC, given)
  if parsed.help and not parsed.recipe then return require "orch.cli.help".main { "run" } end
  args.recipe_of(parsed, "run")
  if parsed.jobs and parsed.jobs < 1 then
    options.usage("orch run: --jobs takes a number of at least 1")
  end
  if parsed.on_fail and parsed.on_fail ~= "shell" then
    options.usage("orch run: --on-fail takes shell, got '%s'", parsed.on_fail)
  end
  local found = project.find(parsed.project)
  local base = not parsed.help and state.begin(found) or nil
  -- Loaded while that is opened:
  local recipe, run, ui = require "orch.recipe", require "orch.run", require "orch.ui"
  local loaded = recipe.load(parsed.recipe, not parsed.help)
  if parsed.help and parsed.json then return print_json(loaded) end
  if parsed.help then return print_help(loaded, parsed.recipe) end
  local format, number = ui.format(parsed), nil
  local code, failure = ui.report(format, function(reporters)
    table.insert(reporters, function(event) number = event.number or number end)
    return run.run {
      recipe = loaded,
      project = found,
      base = base,
      jobs = parsed.job,
      params = parsed.pairs,
      params_file = parsed.params,
      answers = args.pairs_of("run", "--answer", parsed.answer),
      keep_going = parsed.keep_going,
      slots = parsed.jobs,
      interactive = ui.interactive(format),
      reporters = reporters,
    }
  end)
  if failure and parsed.on_fail and ui.interactive(format) then
    open_shell(parsed, number, failure)
  end
  return code, failure
end

return { main = main, spec = SPEC }
