-- Programs that keep credentials for the docker command line: docker-credential-NAME get | store.
--
-- Protocol: github.com/docker/docker-credential-helpers (credentials.go): the server's name on
-- standard input; on success JSON, else a sentence on standard output and another exit code.
local config = require "orch.docker.config"
local error_value = require "orch.error"
local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"

local SECONDS <const> = 60
local NOT_FOUND <const> = "credentials not found"
local WORDS_MAX <const> = 200

local function broken(name, path, kind, format, ...)
  return error_value.new { kind = kind, op = "docker-credential-" .. name,
    message = ("the credential helper docker-credential-%s, which %s names, %s"):format(name, path,
      format:format(...)),
    hint = ("mend or install it, or take it out of %s"):format(path) }
end

local function environment(job)
  local kept = fs.environment()
  for _, declared in ipairs(job and job.secret_names or {}) do
    kept[declared:match("^[%w_]+")] = nil
  end
  for _, name in ipairs { "DOCKER_CONFIG", "DOCKER_HOST" } do
    local value = config.variable(job, name)
    if value then kept[name] = value end
  end
  return kept
end

-- What it printed, or nil and an error; nil alone when it knows no such server.
local function call(job, name, path, action, input)
  if not name:match("^[%w][%w._-]*$") then
    return nil, broken(name, path, "usage", "is no name of a program")
  end
  local result, failure = proc.run { argv = { "docker-credential-" .. name, action }, input = input,
    split = true,
    env = environment(job), timeout = SECONDS }
  if not result then
    if failure.kind == "timeout" then
      return nil,
        broken(name, path, "timeout", "gave no answer within %d s; does it wait for somebody?",
        SECONDS)
    end
    return nil, broken(name, path, failure.kind == "cancelled" and "cancelled" or "auth", "%s: %s",
      failure.kind == "missing" and "cannot be run" or "failed", failure.message)
  end
  if result.code == 0 then return result.stdout end
  local words = result.stdout:match("%S[^\n]*") or result.stderr:match("%S[^\n]*") or "no words"
  if words:lower():find(NOT_FOUND, 1, true) then return nil end
  if words:find("{", 1, true) then words = "words that may hold a secret" end
  return nil,
    broken(name, path, "auth", "failed with %s: %s", result.signal and "signal " .. result.signal
    or "exit code " .. result.code, words:sub(1, WORDS_MAX))
end

--- The credential that the helper keeps for a server; nil when it keeps none. Raises when it is
--- missing or broken.
---@param job? orch.Job
---@param name string what follows docker-credential-
---@param path string the file that names it
---@param server string
---@return { Username: string, Secret: string }?
local function get(job, name, path, server)
  local text, failure = call(job, name, path, "get", server)
  if failure then error(failure, 0) end
  if not text then return nil end
  local decoded = json.decode(text)
  if type(decoded) ~= "table" or type(decoded.Username) ~= "string"
    or type(decoded.Secret) ~= "string"
    or decoded.Username == "" and decoded.Secret ~= "" then
    error(broken(name, path, "auth", "gave no answer with a user name and a secret"), 0)
  end
  if decoded.Secret == "" then return nil end
  return decoded
end

--- Gives the helper a credential to keep.
local function store(job, name, path, server, username, password)
  local input = json.encode({ ServerURL = server, Username = username, Secret = password },
    { open_secrets = true })
  local text, failure = call(job, name, path, "store", input)
  if not text then
    error(failure or broken(name, path, "auth", "did not keep the credential"), 0)
  end
end

return { get = get, store = store }
