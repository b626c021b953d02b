-- The docker command line's own settings: variables, and DOCKER_CONFIG/config.json.
local error_value = require "orch.error"
local fs = require "orch.fs"
local json = require "orch.json"

local SIZE_MAX <const> = 4 * 1024 * 1024

--- A variable of the job, else of orch itself; empty counts as not set.
---@param job? orch.Job
---@param name string
---@return any value a string, or a secret that the job put there
local function variable(job, name)
  local value = job and job.env[name] or os.getenv(name)
  return value ~= "" and value or nil
end

--- The directory with config.json and contexts.
---@return string
local function dir(job)
  return variable(job, "DOCKER_CONFIG") or (os.getenv("HOME") or "/root") .. "/.docker"
end

--- A JSON object of that file; nil when there is no such file, or nothing in it. Raises for one
--- that cannot be understood.
---@return table?
local function read_json(path)
  local text, failure = fs.read(path, SIZE_MAX)
  if not text then
    if failure.kind == "missing" then return nil end
    error(failure, 0)
  end
  if not text:find("%S") then return nil end
  local decoded, problem = json.decode(text)
  if type(decoded) == "table" then return decoded end
  error(error_value.new { kind = "usage", op = "docker",
    message = ("%s: %s"):format(path, problem and problem.message or "it is no JSON object") }, 0)
end

--- config.json; empty when there is none.
---@return table settings, string path
local function read(job)
  local path = dir(job) .. "/config.json"
  return read_json(path) or {}, path
end

return { variable = variable, dir = dir, read = read, read_json = read_json }
