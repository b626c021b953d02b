-- Runs a shell command, or a program with its arguments, and shows what it prints.
local error_value = require "orch.error"
local verb = require "orch.verb"

-- The shell of a step: stops at the first command that fails, in a pipe too.
local function shell(job)
  local path = job.proc.has("/bin/bash") and "/bin/bash" or "/bin/sh"
  return { path, "-eo", "pipefail", "-c" }
end

local function argv_of(job, o)
  if type(o.command) == "table" then return o.command end
  local argv = o.shell or shell(job)
  argv = table.move(argv, 1, #argv, 1, {})
  argv[#argv + 1] = o.command
  return argv
end

local function environment_of(job, o)
  local environment = {}
  for _, name in ipairs(o.secrets) do environment[name] = job.secrets[name] end
  for name, value in pairs(o.env) do environment[name] = value end
  return environment
end

local function first_line(o)
  local shown = type(o.command) == "table" and table.concat(o.command, " ") or o.command
  return (shown:match("^%s*([^\n]*)"))
end

local function ending(result)
  if result.signal then return ("ended by signal %d"):format(result.signal) end
  return ("exit code %d"):format(result.code)
end

return verb.define {
  positional = "command",
  title = first_line,
  options = {
    command = "string|list",
    shell = "list?",
    env = { "table", default = {} },
    secrets = { "list", default = {} },
    cwd = { "string", default = "." },
    check = { "boolean", default = true },
    capture = { "boolean", default = false },
  },
  run = function(job, o)
    local child = assert(job.proc.start { argv = argv_of(job, o), env = environment_of(job, o), cwd = o.cwd })
    local pieces = {}
    for bytes in child.read, child do
      job:print(bytes)
      if o.capture then pieces[#pieces + 1] = bytes end
    end
    local result = assert(child:wait())
    if o.check and (result.signal or result.code ~= 0) then
      error(error_value.new { kind = "failed", op = "run", code = result.code,
        message = ("%s: %s"):format(first_line(o), ending(result)) }, 0)
    end
    result.output = o.capture and table.concat(pieces) or nil
    return result
  end,
}
