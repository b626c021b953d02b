-- Builds an image: the context as a tar stream to POST /build, BuildKit where the daemon has it.
local build_progress = require "orch.docker.build_progress"
local client = require "orch.docker.client"
local error_value = require "orch.error"
local json = require "orch.json"

local Build = {}
Build.__index = Build

-- A long step may print nothing for as long as it takes.
local IDLE_SECONDS <const> = 3600

local function query(spec, classic)
  return {
    t = spec.tags,
    dockerfile = spec.dockerfile,
    buildargs = next(spec.args) and json.encode(spec.args) or nil,
    labels = next(spec.labels) and json.encode(spec.labels) or nil,
    target = spec.target,
    nocache = spec.no_cache or nil,
    pull = spec.pull or nil,
    platform = spec.platform,
    version = not classic and 2 or nil,
    rm = classic and 1 or nil,
    forcerm = classic and 1 or nil,
  }
end

-- The words of the daemon, with what the failing instruction printed.
local function failure_of(message, progress)
  local code = message:match("exit code: (%d+)") or message:match("non%-zero code: (%d+)")
  local failed = progress.failed and progress.failed.name
  local detail = progress:detail()
  return error_value.new { kind = "failed", op = "docker build", code = math.tointeger(tonumber(code)),
    message = ("docker build: %s%s"):format(failed and failed .. ": " or "", message),
    detail = detail ~= "" and detail or nil,
    hint = message:find("no active sessions", 1, true)
      and "the base image's registry asks for a login: pull the image first, or log in" or nil }
end

function Build:take(line)
  if line.errorDetail or line.error then
    local message = line.errorDetail and line.errorDetail.message or line.error
    error(failure_of(tostring(message), self.progress), 0)
  elseif line.id == "moby.buildkit.trace" then
    self.progress:take(line.aux)
  elseif line.aux and line.aux.ID then
    self.image = line.aux.ID
  elseif line.stream and not line.stream:find("^Successfully tagged") then
    self.job:print((line.stream:gsub("\27%[[%d;]*m", "")))
  end
end

-- The daemon's error tells more than the broken pipe it leaves behind; a broken context more than either.
local function read_reply(self, reply)
  for line in self.client.lines("docker build", reply) do self:take(line) end
  if not self.image then
    error(error_value.new { kind = "remote", op = "docker build",
      message = "docker build: the daemon's answer ended without an image" }, 0)
  end
end

local function send(self, spec, classic)
  local context = assert(self.job.fs.context { dir = spec.context, dockerfile = spec.dockerfile, classic = classic })
  local reply, failure = self.client:request { op = "docker build", method = "POST", path = "/build",
    query = query(spec, classic), headers = { ["Content-Type"] = "application/x-tar" }, body_fd = context:fd(),
    stream = true, idle_timeout = IDLE_SECONDS }
  if not reply then context:cancel() end
  local sent, context_failure = context:wait()
  if not sent and context_failure.kind ~= "cancelled" and context_failure.kind ~= "io" then
    error(context_failure, 0)
  end
  if not reply then error(failure, 0) end
  read_reply(self, reply)
  return sent
end

---@class orch.BuildSpec
---@field context string directory, as the job sees it
---@field dockerfile string path in the context
---@field tags string[]
---@field args table<string, string>
---@field labels table<string, string>

--- Builds; returns the image id.
---@param job orch.Job
---@param spec orch.BuildSpec
---@return { image: string, cached: boolean, context: table }
local function build(job, spec)
  local connected = client.connect()
  local self = setmetatable({ job = job, client = connected, progress = build_progress.new(job) }, Build)
  local context = send(self, spec, spec.classic or connected.podman)
  return { image = self.image, context = context, steps = self.progress.done, cached = self.progress.cached }
end

return { build = build }
