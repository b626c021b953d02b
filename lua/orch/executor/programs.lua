-- Programs of a job, wherever they run: in its directory, with its environment.
local environments = require "orch.environment"
local fs = require "orch.fs"

--- job.proc: proc.start and proc.run, in the working directory, where job.env and then spec.env are
--- laid over the environment; attach, which runs a program at the terminal, or in the pipes, that
--- are orch's own, until it has ended: its result, with its code or signal; has(path), whether a
--- program is there; probe(host, port, seconds, words), whether something listens, as seen from the
--- steps, and what it says to some words.
---@param job orch.Job
---@param place { dir: string, tmp: string, environment: table<string, any> } what steps begin with; false: without that variable
---@param functions { start: function, run: function, attach: function, has: function, probe: function }
---@return table
local function new(job, place, functions)
  local base = { TMPDIR = place.tmp, ORCH = "true", CI = "true" }
  local there = {} -- what was found once is not looked for again
  local function prepared(spec)
    local environment, copy = {}, {}
    local function lay(layer)
      for name, value in next, layer do environment[name] = value end
    end
    lay(place.environment)
    lay(base)
    lay(job.env)
    lay(spec.env or {})
    for key, value in pairs(spec) do copy[key] = value end
    copy.cwd = fs.join(place.dir, environments.at_home(spec.cwd or ".", environment))
    environment.PWD = copy.cwd
    copy.env = environment
    return copy
  end
  local function has(path)
    there[path] = there[path] or functions.has(path)
    return there[path]
  end
  return { has = has, probe = functions.probe,
    start = function(spec) return functions.start(prepared(spec)) end,
    attach = function(spec) return functions.attach(prepared(spec)) end,
    run = function(spec) return functions.run(prepared(spec)) end }
end

return { new = new }
