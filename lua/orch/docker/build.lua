-- Builds an image: BuildKit with a session where the daemon has it, else the context as a tar
-- stream.
local build_context = require "orch.docker.build_context"
local build_failure = require "orch.docker.build_failure"
local build_logins = require "orch.docker.build_logins"
local build_progress = require "orch.docker.build_progress"
local build_session = require "orch.docker.build_session"
local client = require "orch.docker.client"
local dockerfiles = require "orch.docker.dockerfile"
local error_value = require "orch.error"
local fault = require "orch.docker.fault"
local fs = require "orch.fs"
local json = require "orch.json"
local lines = require "orch.docker.lines"
local scope = require "orch.scope"
local secret = require "orch.secret"
local task = require "orch.task"

local Build = {}
Build.__index = Build

-- A long step may print nothing for as long as it takes.
local IDLE_SECONDS <const> = 3600

local NETWORKS <const> = { default = true, none = true, host = true }

local function usage(format, ...)
  error(error_value.new { kind = "usage", op = "docker build", message = format:format(...) }, 0)
end

-- As JSON, numbers and booleans as texts; nil when there is nothing.
local function object(option, map)
  local texts = {}
  for name, value in pairs(map) do
    local kind = type(value)
    if type(name) ~= "string" then
      usage("docker_build: option '%s' must be { NAME = \"value\" }", option)
    end
    if secret.is(value) then
      usage("docker_build: option '%s': %s is a secret, which the image would show to everybody; give it in 'secrets'",
        option, name)
    elseif kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
      usage("docker_build: option '%s': %s must be a string, got %s", option, name, kind)
    end
    texts[name] = tostring(value)
  end
  return next(texts) and json.encode(texts) or nil
end

local function arguments(spec)
  if not spec.inline_cache then return spec.args end
  local args = { BUILDKIT_INLINE_CACHE = "1" }
  for name, value in pairs(spec.args) do args[name] = value end
  return args
end

-- The first option given that only a session can serve, or nil.
local function wanted_of_session(spec)
  for _, name in ipairs { "secrets", "ssh", "output" } do
    local given = spec[name]
    if type(given) == "table" and next(given) or type(given) ~= "table" and given then
      return name
    end
  end
end

local function query(self)
  local spec, classic = self.spec, self.classic
  return {
    t = spec.tags,
    dockerfile = self.dockerfile.name,
    buildargs = object("args", arguments(spec)),
    labels = object("labels", spec.labels),
    cachefrom = #spec.cache_from > 0 and json.encode(spec.cache_from) or nil,
    target = spec.target,
    nocache = spec.no_cache or nil,
    pull = spec.pull or nil,
    platform = spec.platform,
    networkmode = spec.network,
    outputs = spec.output and '[{"Type":"tar","Attrs":{}}]' or nil,
    version = not classic and 2 or nil,
    rm = classic and 1 or nil,
    forcerm = classic and 1 or nil,
  }
end

function Build:take(line)
  local detail = type(line.errorDetail) == "table" and line.errorDetail.message
  if detail or line.error then
    error(build_failure.of(self, fault.brief(tostring(detail or line.error))), 0)
  elseif line.id == "moby.buildkit.trace" then
    self.progress:take(line.aux)
  elseif type(line.aux) == "table" and line.aux.ID then
    self.image = line.aux.ID
    self.digest = line.aux.Digest
  elseif type(line.stream) == "string" and not line.stream:find("^Successfully tagged") then
    self.begun = dockerfiles.instruction_begun(self.dockerfile.text, line.stream) or self.begun
    self.job:print((line.stream:gsub("\27%[[%d;]*m", "")))
  end
end

local function read_reply(self, reply)
  local _ <close> = reply -- which stops a build that we give up
  for line in lines.each("docker build", reply) do self:take(line) end
  if not self.image and not self.spec.output then
    error(error_value.new { kind = "remote", op = "docker build",
      message = "docker build: the daemon's answer ended without an image" }, 0)
  end
end

local function request(self, more)
  local spec = { op = "docker build", method = "POST", path = "/build", query = query(self),
    stream = true,
    idle_timeout = IDLE_SECONDS, headers = {} }
  for name, value in pairs(more.query or {}) do spec.query[name] = value end
  for name, value in pairs(more.headers or {}) do spec.headers[name] = value end
  spec.body_fd = more.body_fd
  return self.client:request(spec)
end

-- The daemon's error tells more than the broken pipe it leaves behind; a broken context more than
-- either.
local function with_tar(self)
  local dockerfile = self.dockerfile
  local context =
    assert(self.context.files.context { dir = self.context.dir, dockerfile = dockerfile.name,
    dockerfile_text = (dockerfile.inline or dockerfile.outside) and dockerfile.text or nil,
    classic = self.classic })
  local reply, failure = request(self, { body_fd = context:fd(), headers = {
    ["Content-Type"] = "application/x-tar",
    ["X-Registry-Config"] = build_logins.header(self.logins) } })
  if not reply then context:cancel() end
  local sent, context_failure = context:wait()
  if not sent and context_failure.kind ~= "cancelled" and context_failure.kind ~= "io" then
    error(context_failure, 0)
  end
  if not reply then error(build_failure.of_request(self, failure), 0) end
  read_reply(self, reply)
  return { files = sent and sent.files, bytes = sent and sent.bytes }
end

-- The end of f, unless the session ends for want of signs of life: a daemon that hangs closes
-- nothing.
local function while_alive(session, f)
  local parent = scope.current()
  local running = task.spawn(function()
    if parent then scope.enter(parent) end
    f()
  end)
  local watch = task.spawn(function()
    local _, failure = session:wait()
    if failure and failure.kind == "timeout" then
      failure.op, failure.hint = "docker build", lines.LOST
      running:cancel(failure)
    end
  end)
  local good, problem = running:join()
  watch:cancel(error_value.new { kind = "cancelled", message = "the build is over" })
  watch:join()
  return good, problem
end

-- A proxy before the daemon may forbid sessions, and a daemon may have none of this kind any more.
local function without_session(self, refusal)
  local code = refusal.code
  if code ~= 403 and code ~= 404 then error(refusal, 0) end
  local wanted = wanted_of_session(self.spec)
  if wanted then
    refusal.message =
      ("docker_build: option '%s' needs a build session, which %s refused: %s"):format(wanted,
      self.client.endpoint.host, refusal.message)
    refusal.hint = "a proxy before the daemon must let POST /session through"
    error(refusal, 0)
  end
  self.job:log("no build session (%s): the context is sent as a tar, all of it each time",
    refusal.message)
  return with_tar(self)
end

-- What failed on our side is why the daemon failed.
local function with_session(self, output)
  local options = build_session.options(self, output)
  for name, value in pairs(self.client:peer()) do options[name] = value end
  options.api = self.client.api
  local session <close>, refusal = require "orch.session".open(options)
  if not session then return without_session(self, refusal) end
  local good, problem = while_alive(session, function()
    local reply, failure = request(self,
      { query = { session = session:id(), remote = "client-session" } })
    if not reply then error(build_failure.of_request(self, failure), 0) end
    read_reply(self, reply)
  end)
  if not good then
    local ours = session:failure()
    local theirs = not ours or ours.kind == "net" or ours.kind == "timeout"
      or problem.kind == "cancelled"
    error(theirs and problem or build_failure.of_pattern(self, ours), 0)
  end
  local stats, closing = session:close()
  if not stats and (closing.kind ~= "net" or output) then error(closing, 0) end
  stats = stats or session:stats()
  return { files = stats.files, bytes = stats.bytes, entries = stats.entries }
end

-- A path that ends in ".tar" is a file, any other a directory.
local function with_output(self)
  local job, output = self.job, self.spec.output
  if output:find("%.tar$") then
    assert(job.fs.make_dir(output:match("^(.*)/") or "."))
    return job.fs.receive(output, function(path) return with_session(self, path) end)
  end
  local dir = assert(fs.make_temp(job.host_tmp .. "/output-"))
  local _ <close> = setmetatable({}, { __close = function() fs.remove(dir) end })
  local context = with_session(self, dir .. "/tar")
  assert(job.fs.make_dir(output))
  assert(job.fs.unpack { file = dir .. "/tar", into = output })
  return context
end

-- One attempt; nil, err when it failed for want of a base image that may come another time.
local function once(self, send)
  self.progress = build_progress.new(self.job)
  self.image, self.digest, self.begun = nil, nil, nil
  local good, result = pcall(send, self)
  if good then return result end
  if error_value.is(result) and result.passing then return nil, result end
  error(result, 0)
end

local function check(self)
  local spec = self.spec
  for _, name in ipairs { "context", "dockerfile", "output" } do
    if spec[name] == "" then usage("docker_build: option '%s' is empty", name) end
  end
  if not self.classic and spec.network and not NETWORKS[spec.network] then
    usage("docker_build: option 'network': BuildKit knows 'default', 'none' and 'host', not '%s'",
      spec.network)
  end
  local wanted = wanted_of_session(spec)
  if wanted and not self.sessions then
    usage("docker_build: option '%s' needs BuildKit, which %s", wanted,
      spec.classic and "option 'classic' turns off" or "podman does not have")
  end
end

---@class orch.BuildSpec
---@field context string|table directory as the job sees it, or what build_context takes besides
---@field dockerfile string path in the context, a path out of it, or with a line break the text itself
---@field tags string[]
---@field args table<string, string>
---@field labels table<string, string>
---@field secrets table<string, orch.secret|{ file: string }>
---@field ssh? true|string|table<string, string|true>
---@field auth? orch.DockerCredential|orch.DockerCredential[]
---@field cache_from string[]
---@field output? string

---@class orch.Built
---@field image? string id; absent with output
---@field digest? string where the daemon keeps manifests
---@field cached integer steps that were
---@field steps integer
---@field context { files: integer, bytes: integer, entries?: integer } what was sent
---@field source? { url: string, commit: string } of a git context
---@field warnings { message: string, detail?: string[], url?: string }[]
---@field vertexes { name: string, cached: boolean, seconds: number }[]

--- Builds.
---@param job orch.Job
---@param spec orch.BuildSpec
---@return orch.Built
local function build(job, spec)
  local self = setmetatable({ job = job, spec = spec, client = client.connect(job) }, Build)
  self.classic = spec.classic or self.client.podman
  self.sessions = not self.classic
  check(self)
  local opened <close> = build_context.open(job, spec.context, self.client)
  self.context, self.dockerfile = opened, dockerfiles.find(job, spec.dockerfile, opened)
  self.logins = build_logins.find(job, spec, self.dockerfile.text)
  local send = not self.sessions and with_tar or spec.output and with_output or with_session
  local context = fault.retrying(job, function() return once(self, send) end)
  return { image = self.image, digest = self.digest, context = context, source = opened.source,
    steps = self.progress.done,
    cached = self.progress.cached, warnings = json.array(self.progress.warnings), vertexes =
    json.array(self.progress:summary()) }
end

return { build = build }
