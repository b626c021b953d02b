-- orch doctor [--json]: what orch needs of this machine, what is there, how to mend what is not
local args = require "orch.cli.args"
local branches = require "orch.branches"
local config = require "orch.docker.config"
local error_value = require "orch.error"
local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local project = require "orch.project"
local say = require "orch.cli.say"
local state = require "orch.state"
local task = require "orch.task"

local SPEC <const> = { command = "doctor", positional = {},
  flags = { json = "boolean", project = "string" } }

-- Where distributions keep the authorities that libcurl trusts.
local BUNDLES <const> = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/cert.pem",
  "/etc/ssl/ca-bundle.pem" }

local AWS <const> = { "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
  "AWS_PROFILE", "AWS_REGION",
  "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR_PUBLIC" }

local WIDTH <const> = 12 -- of a check's name

-- A check's result: what was found, what is missing with how to mend it, or a note that is no
-- fault.
local function found(text, more)
  local result = more or {}
  result.status, result.text = "ok", text
  return result
end

local function missing(text, mend) return { status = "missing", text = text, mend = mend } end

local function note(text) return { status = "note", text = text } end

local function in_path(program)
  for dir in (os.getenv("PATH") or ""):gmatch("[^:]+") do
    if fs.stat(dir .. "/" .. program) then return dir .. "/" .. program end
  end
end

-- --- docker --------------------------------------------------------------------------------------

-- What the docker modules want of a job.
local function patient(tmp)
  return { tmp = tmp, env = {}, secret_names = {}, mask = function() end, log = function() end,
    background = function(_, f) return task.spawn(f) end }
end

local function ask(connected, path)
  local reply = connected:request { op = "doctor", path = path, idle_timeout = 20 }
  local value = reply and json.decode(reply.body)
  return type(value) == "table" and value or {}
end

local function is_rootless(info)
  for _, option in ipairs(type(info.SecurityOptions) == "table" and info.SecurityOptions or {}) do
    if option:find("name=rootless", 1, true) then return true end
  end
  return false
end

local function builder_of(connected)
  if connected.podman then return "classic (podman)" end
  return connected.builder == "1" and "classic" or "BuildKit"
end

local function check_docker(self)
  local connected = require "orch.docker.client".connect(patient(self.tmp))
  local version, info = ask(connected, "/version"), ask(connected, "/info")
  self.info = info
  local rootless = is_rootless(info)
  return found(("%s %s at %s (%s), API %s of %s to %s, %s, %s"):format(connected.podman and "podman"
    or "Docker",
    version.Version or "?", connected.endpoint.host, connected.endpoint.source, connected.api,
    version.MinAPIVersion or "?", version.ApiVersion or "?", builder_of(connected),
    rootless and "rootless" or "rootful"),
    { host = connected.endpoint.host, source = connected.endpoint.source, version = version.Version,
      api = connected.api,
      builder = builder_of(connected), rootless = rootless, podman = connected.podman })
end

local function check_runtime(self)
  local runtime = self.info and self.info.DefaultRuntime
  if runtime then return found(("%s, by the daemon"):format(runtime)) end
  local podman = in_path("podman")
  if podman then return found(podman) end
  return missing("no daemon and no podman: jobs cannot run in containers",
    "apt-get install docker.io, or podman")
end

local function check_logins()
  local settings, path = config.read()
  local helpers, lacking = {}, {}
  local function look(name)
    if type(name) ~= "string" or name == "" or helpers[name] then return end
    helpers[name] = true
    if not in_path("docker-credential-" .. name) then
      lacking[#lacking + 1] = "docker-credential-" .. name
    end
  end
  look(settings.credsStore)
  for _, name in pairs(type(settings.credHelpers) == "table" and settings.credHelpers or {}) do
    look(name)
  end
  table.sort(lacking)
  if lacking[1] then
    return missing(("%s names %s, which is not in PATH"):format(path, table.concat(lacking, ", ")),
      "install it, or take it out of " .. path)
  end
  local hosts = {}
  for host in pairs(type(settings.auths) == "table" and settings.auths or {}) do
    hosts[#hosts + 1] = host
  end
  table.sort(hosts)
  if #hosts == 0 and not next(helpers) then return note("no logins in " .. path) end
  return found(("%s: %s"):format(path, #hosts > 0 and table.concat(hosts, ", ") or "by helpers"))
end

-- --- orch's own ----------------------------------------------------------------------------------

local function check_shim()
  local result = assert(proc.run { argv = { "/bin/sh", "-c", "exit 7" }, timeout = 10 })
  if result.code == 7 then return found("starts programs and tells how they end") end
  return missing("a program's exit code was lost",
    "build orch anew: orch-shim belongs into lib/orch")
end

local function check_git(self)
  local _, failure = require "orch.repo".info { dir = self.tmp }
  if not failure or failure.kind == "missing"
    and failure.message:find("no git repository", 1, true) then
    return found("the helper orch-repo answers")
  end
  return missing(failure.message, "build orch anew: orch-repo belongs into lib/orch")
end

local function check_state(self)
  local opened = state.open(project.find(self.project))
  local dir = opened.dir
  opened:close()
  local made, failure = fs.make_temp(dir .. "/.doctor-")
  if not made then return missing(failure.message, "make it writable, or set ORCH_STATE") end
  assert(fs.remove(made))
  return found(dir .. " is writable")
end

local function check_tls()
  local looked = { os.getenv("SSL_CERT_FILE"), table.unpack(BUNDLES) }
  for i = 1, #BUNDLES + 1 do
    local stat = looked[i] and fs.stat(looked[i])
    if stat then return found(looked[i]) end
  end
  return missing("no bundle of certificate authorities: looked for " .. table.concat(BUNDLES, ", "),
    "apt-get install ca-certificates")
end

-- Linux versions that brought what the engine uses.
local function check_kernel()
  local release = (fs.read("/proc/sys/kernel/osrelease") or "?"):gsub("%s+$", "")
  local major, minor = release:match("^(%d+)%.(%d+)")
  local number = major and tonumber(major) * 1000 + tonumber(minor) or 0
  if number < 5003 then
    return missing(("Linux %s has no pidfd, by which children are watched"):format(release),
      "Linux 5.3 or newer is needed")
  end
  return found(("Linux %s: pidfd, %s"):format(release,
    number >= 5006 and "openat2" or "no openat2 (archives are unpacked more slowly)"))
end

-- By name only: a value is nobody's to see.
local function check_aws()
  local set = {}
  for _, name in ipairs(AWS) do
    if (os.getenv(name) or "") ~= "" then set[#set + 1] = name end
  end
  if #set == 0 then
    return note("no AWS variable is set; jobs for ECR need AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY")
  end
  local half = (os.getenv("AWS_ACCESS_KEY_ID") or "") ~= ""
    and (os.getenv("AWS_SECRET_ACCESS_KEY") or "") == ""
  if half then
    return missing("AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY", "set both")
  end
  return found("set: " .. table.concat(set, ", "))
end

-- --- the whole -----------------------------------------------------------------------------------

local CHECKS <const> = { { "docker", check_docker }, { "containers", check_runtime },
  { "logins", check_logins },
  { "programs", check_shim }, { "git", check_git }, { "state", check_state }, { "TLS", check_tls },
  { "kernel", check_kernel }, { "AWS", check_aws } }

-- One check; whatever goes wrong in it is its finding.
local function examine(self, name, check)
  local good, result = pcall(check, self)
  if not good then
    local failure = error_value.is(result) and result or { message = tostring(result) }
    if failure.kind == "cancelled" then error(result, 0) end
    result = missing(failure.message,
      failure.hint and failure.hint:gsub(";? `orch doctor` tells more$", ""))
  end
  result.name = name
  return result
end

local function print_text(results, count)
  for _, each in ipairs(results) do
    say(("%-8s %-" .. WIDTH .. "s %s"):format(each.status, each.name, each.text))
    if each.mend then say(("%s mend: %s"):format((" "):rep(9 + WIDTH), each.mend)) end
  end
  print(count == 0 and "nothing is missing" or ("%d missing"):format(count))
end

local function main(given)
  local parsed = args.parse(SPEC, given)
  local self = { tmp = assert(fs.make_temp((os.getenv("TMPDIR") or "/tmp") .. "/orch-doctor-")),
    project = parsed.project }
  local _ <close> = setmetatable({},
    { __close = function() branches.cleanup(function() fs.remove(self.tmp) end) end })
  local results, count = json.array {}, 0
  for i, each in ipairs(CHECKS) do
    results[i] = examine(self, each[1], each[2])
    if results[i].status == "missing" then count = count + 1 end
  end
  if parsed.json then
    print(json.encode({ checks = results, missing = count }, { pretty = true }))
  else
    print_text(results, count)
  end
  return count == 0 and 0 or error_value.exit_code("findings")
end

return { main = main, spec = SPEC }
