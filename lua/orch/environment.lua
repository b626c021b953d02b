-- Variables of an environment, as a recipe gives them.
local options = require "orch.options"
local secret = require "orch.secret"

local PLAIN <const> = { string = true, number = true, boolean = true }

--- A copy with numbers, true and false as texts; raises for what is neither that, nor a text, nor a
--- secret.
---@param what string whose it is, for the error
---@param map table<string, any>
---@return table<string, any>
local function plain(what, map)
  local copy = {}
  for name, value in pairs(map) do
    if type(name) ~= "string" then
      options.usage("%s: expected { NAME = value, … }, got %s without a name", what,
        secret.is(value) and "a secret" or ("'%s'"):format(tostring(value)))
    end
    if not PLAIN[type(value)] and not secret.is(value) then
      options.usage("%s: '%s' must be a string, a number, true or false, got %s", what, name,
        type(value))
    end
    copy[name] = secret.is(value) and value or tostring(value)
  end
  return copy
end

--- What a shell step has beside the job's environment. BASH_ENV is sourced at the start of each
--- bash: what a step exports there, later steps have.
---@param job orch.Job
---@param o { secrets: string[], environment: table<string, any> } options of `run`
---@return table<string, any>
local function of_step(job, o)
  local set = { BASH_ENV = job.tmp .. "/bash_env" }
  for _, name in ipairs(o.secrets) do set[name] = job.secrets[name] end
  for name, value in pairs(plain("run: environment", o.environment)) do set[name] = value end
  return set
end

--- The shell that is there.
---@param job orch.Job
---@return string path
local function shell(job) return job.proc.has("/bin/bash") and "/bin/bash" or "/bin/sh" end

--- A directory that may begin with ~, as a shell reads it.
---@param dir string
---@param environment table<string, any> whose HOME it is
---@return string
local function at_home(dir, environment)
  local below = dir:match("^~(/.*)$") or dir == "~" and ""
  if not below then return dir end
  if not environment.HOME then
    options.usage("working_directory: '%s' needs the variable HOME, which is not set", dir)
  end
  return tostring(environment.HOME) .. below
end

return { plain = plain, of_step = of_step, shell = shell, at_home = at_home }
