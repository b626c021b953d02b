-- Waits until something in the background is ready: a port answers, a URL, a line is printed, a
-- command succeeds.
local duration = require "orch.duration"
local error_value = require "orch.error"
local options = require "orch.options"
local task = require "orch.task"

local POLL <const> = 0.1            -- seconds
local COMMAND_SECONDS <const> = 30  -- for one call of a command

local schema = options.schema {
  port = { "integer?", min = 1, max = 65535 },
  host = { "string", default = "127.0.0.1" },
  http = "string?",
  log = "string?",      -- a Lua pattern
  command = "string?",  -- in the job's shell
  timeout = { "string|number", default = 60 },
}

local probes = {}

function probes.port(job, how) return job.proc.probe(how.host, how.port, 2) ~= nil end

-- Where the steps have a network of their own, only they can ask: plainly, and for the status
-- alone.
local function ask_inside(job, url)
  local host, port, path = url:match("^http://([^/:]+):?(%d*)(.*)$")
  if not host then
    options.usage("run: ready: in a container only http:// can be asked, got '%s'", url)
  end
  local reply = job.proc.probe(host, port ~= "" and math.tointeger(port) or 80, 2,
    ("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n"):format(path ~= "" and path or "/", host))
  local status = reply and tonumber(reply:match("^HTTP/[%d.]+ (%d+)"))
  return status ~= nil and status < 400
end

function probes.http(job, how)
  if job.executor.kind == "docker" then return ask_inside(job, how.http) end
  local reply = require "orch.http".request { url = how.http, connect_timeout = 2, timeout = 5 }
  return reply ~= nil and reply.status < 400
end

function probes.command(job, how)
  local left = math.max(0.1, math.min(COMMAND_SECONDS, how.deadline - task.clock()))
  local result = job.proc.run { argv = { "/bin/sh", "-c", how.command }, timeout = left }
  return result ~= nil and result.code == 0
end

-- Who reads the output looks at each line as it comes.
function probes.log(_, _, seen) return seen.line end

local function probe_of(how)
  local found
  for _, name in ipairs { "port", "http", "command", "log" } do
    if how[name] and found then
      options.usage("run: ready takes one of %s and %s, not both", found, name)
    end
    found = how[name] and name or found
  end
  if not found then options.usage("run: ready needs one of port, http, command, log") end
  return found, probes[found]
end

--- Checks it before anything is begun.
---@param given table
local function checked(given)
  local how = schema:check("run: ready", given)
  probe_of(how)
  how.limit = duration.seconds("run: ready: timeout", how.timeout)
  if how.http and not how.http:find("^https?://[^/]") then
    options.usage("run: ready: http must be a URL, as http://127.0.0.1:8080/, got '%s'", how.http)
  end
  local good, problem = pcall(string.find, "", how.log or "")
  if not good then
    options.usage("run: ready: log: '%s' is no Lua pattern: %s", how.log, tostring(problem))
  end
  return how
end

--- Raises kind conflict when another program has the port already: it would be taken for the one
--- that is begun.
---@param job orch.Job
---@param given table
local function expect_free(job, given)
  local how = checked(given)
  if not how.port or not probes.port(job, how) then return end
  error(error_value.new { kind = "conflict", op = "run",
    message =
      ("port %d of %s is in use by another program, before this one is begun"):format(how.port,
      how.host),
    hint =
      ("end that program (`ss -ltnp 'sport = %d'` shows it), or use another port"):format(how.port) }, 0)
end

--- Waits; ended() tells that what should become ready is gone.
---@param job orch.Job
---@param given table
---@param seen { line: boolean } set by who reads the output
---@param ended fun(): boolean
local function wait(job, given, seen, ended)
  local how = checked(given)
  local name, probe = probe_of(how)
  how.deadline = task.clock() + how.limit
  while not probe(job, how, seen) do
    if ended() then
      error(error_value.new { kind = "failed",
        message = "the background command ended before it was ready" }, 0)
    end
    if task.clock() > how.deadline then
      error(error_value.new { kind = "timeout",
        message = ("not ready after %g s: %s %s"):format(how.limit, name, tostring(how[name])) }, 0)
    end
    task.sleep(POLL)
  end
end

return { wait = wait, expect_free = expect_free }
