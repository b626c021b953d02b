-- Runs a shell command, or a program with its arguments, and shows what it prints.
local branches = require "orch.branches"
local duration = require "orch.duration"
local environment = require "orch.environment"
local error_value = require "orch.error"
local options = require "orch.options"
local readiness = require "orch.readiness"
local secret = require "orch.secret"
local task = require "orch.task"
local verb = require "orch.verb"

local DELAY_MAX <const> = 600   -- seconds
local LINE_MAX <const> = 65536  -- of a line that readiness looks at

-- CircleCI's default: stops at the first command that fails, in a pipe too; not a login shell.
local function shell_of(job, o)
  local shell = o.shell or job.shell
  if not shell then return { environment.shell(job), "-eo", "pipefail" } end
  if type(shell) == "table" then return table.move(shell, 1, #shell, 1, {}) end
  local words = {}
  for word in shell:gmatch("%S+") do words[#words + 1] = word end
  return words
end

local function argv_of(job, o)
  if type(o.command) == "table" then return o.command end
  local argv = shell_of(job, o)
  argv[#argv + 1] = "-c"
  argv[#argv + 1] = o.command
  return argv
end

-- Every program on the machine can read a command line.
local function refuse_secrets(o)
  for _, word in ipairs(verb.list(o.command)) do
    if secret.is(word) then
      options.usage("run: the secret '%s' would stand in the command line, for all to read; give it by name: "
        .. "job:run { \"… $%s …\", secrets = { \"%s\" } }", secret.name(word), secret.name(word),
          secret.name(word))
    end
  end
end

local function first_line(o)
  local shown = {}
  for i, word in ipairs(verb.list(o.command)) do shown[i] = tostring(word) end
  shown = table.concat(shown, " ")
  return (shown:match("^%s*([^\n]*)"))
end

local function start(job, o)
  local argv = argv_of(job, o)
  local child, failure = job.proc.start { argv = argv, env = environment.of_step(job, o),
    cwd = o.working_directory,
    quiet = o.background and 0 or duration.seconds("run: no_output_timeout", o.no_output_timeout) }
  if child then return child end
  if failure.kind == "missing" and not job.fs.list(o.working_directory) then
    require "orch.listing".explain(failure, job, o.working_directory)
  elseif failure.kind == "missing" and type(o.command) == "string" then
    failure.hint = failure.hint
      or ("a command line needs a shell, which %s is to be: name another one (shell = \"…\"), or do "
        .. "without: job:run { \"PROGRAM\", \"ARGUMENT\" }"):format(argv[1])
  end
  error(failure, 0)
end

-- What shells mean by a code: 128 and more is the signal that ended a program.
local MEANS <const> = { [126] = " (something in it cannot be executed)",
  [127] = " (something in it was not found)",
  [134] = " (a program in it was ended by SIGABRT)",
  [137] = " (a program in it was ended by SIGKILL: was there enough memory?)",
  [139] = " (a program in it was ended by SIGSEGV)",
  [141] = " (SIGPIPE: what reads a pipe ended before what writes to it, which pipefail takes for a failure)",
  [143] = " (a program in it was ended by SIGTERM)" }

local function check(o, result)
  if not o.check or not result.signal and result.code == 0 then return end
  local how = result.signal and ("ended by signal %d"):format(result.signal)
    or ("exit code %d%s"):format(result.code,
      type(o.command) == "string" and MEANS[result.code] or "")
  if result.out_of_memory then
    error(error_value.new { kind = "limit", op = "run",
      code = result.code >= 0 and result.code or nil,
      signal = result.signal, message = ("%s: %s: out of memory"):format(first_line(o), how),
      hint = "give the job more: executor = orch.docker { resources = { memory = … } }" }, 0)
  end
  if result.parent_killed then how = how .. ", because somebody killed orch-shim, its parent" end
  error(error_value.new { kind = "failed", op = "run",
    code = result.code >= 0 and result.code or nil,
    signal = result.signal, message = ("%s: %s"):format(first_line(o), how) }, 0)
end

-- Its output and end. When the step is cancelled it ends once the program has: nothing that follows
-- runs beside it.
local function attend(job, o, child)
  local pieces = {}
  local good, problem = pcall(function()
    for bytes in child.read, child do
      job:print(bytes)
      if o.capture then pieces[#pieces + 1] = bytes end
    end
  end)
  if good then return pieces, child:wait() end
  child:cancel()
  pcall(branches.cleanup, function() child:wait() end)
  error(problem, 0)
end

local function once(job, o)
  local pieces, result, failure = attend(job, o, start(job, o))
  if not result then
    failure.message = ("%s: %s"):format(first_line(o), failure.message)
    if failure.kind == "timeout" then
      failure.message = ("%s (no_output_timeout is %s)"):format(failure.message,
        o.no_output_timeout)
    end
    error(failure, 0)
  end
  check(o, result)
  if o.capture and result.cut then error(result.cut, 0) end
  result.output = o.capture and table.concat(pieces) or nil
  return result
end

local function foreground(job, o)
  local delay = duration.seconds("run: auto_rerun_delay", o.auto_rerun_delay)
  if delay > DELAY_MAX then options.usage("run: auto_rerun_delay is at most 10m") end
  for attempt = 0, o.max_auto_reruns - 1 do
    local good, result = pcall(once, job, o)
    if good then return result end
    if result.kind ~= "failed" and result.kind ~= "timeout" then error(result, 0) end
    job:log("%s; run again (%d of %d)", result.message, attempt + 1, o.max_auto_reruns)
    task.sleep(delay)
  end
  return once(job, o)
end

-- Shows what comes, and tells the lines that readiness waits for.
local function follow(child, sink, pattern, seen)
  local line = ""
  for bytes in child.read, child do
    sink:write(bytes)
    if pattern and not seen.line then
      line = (line .. bytes):sub(-LINE_MAX)
      seen.line = line:find(pattern) ~= nil
      line = line:match("[^\n]*$")
    end
  end
end

-- Goes on beside the steps that follow, and ends with the job.
local function background(job, o)
  if o.ready then readiness.expect_free(job, o.ready) end
  local seen, ended, sink = { line = false }, false, job:background_output()
  local failure
  job:background(function()
    local good, what = pcall(function()
      local child = start(job, o)
      follow(child, sink, o.ready and o.ready.log, seen)
      local result, problem = child:wait()
      if not result then error(problem, 0) end
      check(o, result)
    end)
    if not good then failure = what end
    -- Nobody waits for it: it tells itself how it ended, unless the job's end, or its time, ended
    -- it.
    if failure and failure.kind ~= "cancelled" and failure.kind ~= "timeout" then
      sink:write(("in the background: %s\n"):format(tostring(failure)))
    end
    sink:close()
    ended = true
  end)
  if not o.ready then return end
  local good, problem = pcall(readiness.wait, job, o.ready, seen, function() return ended end)
  if not good then error(failure and failure.kind ~= "cancelled" and failure or problem, 0) end
end

return verb.define {
  positional = "command",
  title = first_line,
  again = function(o) return o.background end,
  options = {
    command = { "string|list", doc = "a line for the shell; a list: a program and its arguments" },
    shell = { "string|list?", doc = "default: the job's, else /bin/bash -eo pipefail" },
    environment = { "table", default = {}, doc = "{ NAME = value }" },
    secrets = { "list", default = {}, doc = "names of the job's, which become variables" },
    working_directory = { "string", default = ".", doc = "below the job's directory" },
    no_output_timeout = { "string|number", default = "10m", doc = "0: none" },
    background = { "boolean", default = false, doc = "goes on beside what follows, to the job's end" },
    ready = { "table?",
      doc = "for background, what is waited for: { port =, http = URL, log = PATTERN, command =, timeout = }" },
    check = { "boolean", default = true, doc = "false: another exit code than 0 is no failure" },
    max_auto_reruns = { "integer", default = 0, min = 0, max = 5, doc = "when it fails" },
    auto_rerun_delay = { "number|string", default = 0, doc = "between them, in seconds, or \"10s\"" },
    capture = { "boolean", default = false, doc = "output of the result is what it printed" },
  },
  advice = { environment = "environment = { NAME = \"value\" }", ready = "ready = { port = 8080 }",
    secrets = "secrets = { \"NAME\" }" },
  returns = "orch.RunResult",
  run = function(job, o)
    refuse_secrets(o)
    if o.background then return background(job, o) end
    if o.ready then options.usage("run: ready is for a background command: background = true") end
    return foreground(job, o)
  end,
}
