-- Waits until something in the background is ready: a port answers, a URL, a line is printed, a command succeeds.
local duration = require "orch.duration"
local error_value = require "orch.error"
local options = require "orch.options"
local task = require "orch.task"

local POLL <const> = 0.1 -- seconds

local schema = options.schema {
  port = "integer?",
  host = { "string", default = "127.0.0.1" },
  http = "string?",
  log = "string?",      -- a Lua pattern
  command = "string?",  -- in the job's shell
  timeout = { "string|number", default = 60 },
}

local probes = {}

function probes.port(job, how) return job.proc.probe(how.host, how.port, 2) ~= nil end

-- Where the steps have a network of their own, only they can ask: plainly, and for the status alone.
local function ask_inside(job, url)
  local host, port, path = url:match("^http://([^/:]+):?(%d*)(.*)$")
  if not host then options.usage("run: ready: in a container only http:// can be asked, got '%s'", url) end
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
  local result = job.proc.run { argv = { "/bin/sh", "-c", how.command }, timeout = 30 }
  return result ~= nil and result.code == 0
end

-- Who reads the output looks at each line as it comes.
function probes.log(_, _, seen) return seen.line end

local function probe_of(how)
  for _, name in ipairs { "port", "http", "command", "log" } do
    if how[name] then return name, probes[name] end
  end
  options.usage("run: ready needs one of port, http, command, log")
end

--- Raises kind conflict when another program has the port already: it would be taken for the one that is begun.
---@param job orch.Job
---@param given table
local function expect_free(job, given)
  local how = schema:check("run: ready", given)
  if not how.port or not probes.port(job, how) then return end
  error(error_value.new { kind = "conflict", op = "run",
    message = ("port %d of %s is in use by another program, before this one is begun"):format(how.port, how.host),
    hint = ("end that program (`ss -ltnp 'sport = %d'` shows it), or use another port"):format(how.port) }, 0)
end

--- Waits; ended() tells that what should become ready is gone.
---@param job orch.Job
---@param given table
---@param seen { line: boolean } set by who reads the output
---@param ended fun(): boolean
local function wait(job, given, seen, ended)
  local how = schema:check("run: ready", given)
  local name, probe = probe_of(how)
  local limit = duration.seconds("run: ready", how.timeout)
  local deadline = task.clock() + limit
  while not probe(job, how, seen) do
    if ended() then
      error(error_value.new { kind = "failed", message = "the background command ended before it was ready" }, 0)
    end
    if task.clock() > deadline then
      error(error_value.new { kind = "timeout",
        message = ("not ready after %g s: %s %s"):format(limit, name, tostring(how[name])) }, 0)
    end
    task.sleep(POLL)
  end
end

return { wait = wait, expect_free = expect_free }
