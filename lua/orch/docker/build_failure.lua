-- What became of a build that failed, from the builder's words: the Dockerfile's line, why, and
-- what to do about it.
local credentials = require "orch.docker.credentials"
local dockerfile_images = require "orch.docker.dockerfile_images"
local dockerfiles = require "orch.docker.dockerfile"
local error_value = require "orch.error"
local fault = require "orch.docker.fault"
local nearest = require "orch.nearest"
local reference = require "orch.docker.reference"
local tar = require "orch.tar"

local IGNORE_MAX <const> = 4 * 1024 * 1024
local SHOWN_MAX <const> = 160 -- bytes of an instruction; the Dockerfile has the rest

-- What BuildKit puts before the reason, as often as it likes.
local LAYERS <const> = {
  "^failed to solve[^:]*: ", "^failed to create LLB definition: ",
  "^dockerfile parse error on line %d+: ",
  "^dockerfile parse error line %d+: ", "^failed to compute cache key: ",
  "^failed to load cache key: ",
  "^failed to calculate checksum of ref %S+: ", "^rpc error: code = %w+ desc = ",
  '^building at STEP ".-": ', -- podman's
}

-- A directory that is not there is walked to all the same, by the daemon's name for it.
local WALKED <const> =
  "^failed to walk %S-/buildkit%-mount%d+(/%S*): lstat .*: no such file or directory$"

local function reason_of(message)
  message = message:gsub("%s+$", "")
  local before
  repeat
    before = message
    for _, layer in ipairs(LAYERS) do message = message:gsub(layer, "") end
  until message == before
  return (message:gsub(WALKED, '"%1" not found'):gsub(" not found: not found$", " not found"))
end

local function shown(instruction)
  if #instruction <= SHOWN_MAX then return instruction end
  return instruction:sub(1, SHOWN_MAX):gsub("[\xC0-\xFF][\x80-\xBF]*$", "") .. "…"
end

-- { line?, text? } of what failed, as far as it can be told; text is the instruction.
local function place_of(build, message)
  local failed = build.progress.failed and build.progress.failed.name
  local line = message:match("Dockerfile:(%d+)") or message:match("parse error on line (%d+)")
    or message:match("parse error line (%d+)")
  local known = failed and dockerfiles.instruction_of(build.dockerfile.text, failed)
    or line and dockerfiles.instruction_at(build.dockerfile.text, tonumber(line))
    or not line and build.begun
  return { line = line or known and known.line, text = known and known.text or failed }
end

local function place_text(build, place)
  local words = place.text and shown(place.text) .. ": " or ""
  return place.line and ("%s:%d: %s"):format(build.dockerfile.name, place.line, words) or words
end

-- The image that was looked up or pulled when it failed, and whether it is the one that "# syntax="
-- names; nil when it was something else.
local function base_of(build)
  local failed = build.progress.failed
  if not failed then
    local from = build.begun and build.begun.text:gsub(" %-%-%S+", ""):match("^FROM (%S+)")
    return from and build.begun.line and dockerfile_images.at_line(build.dockerfile.text,
      build.begun.line, build.spec.args) or from
  end
  local syntax = failed.name:match("^resolve image config for (%S+)")
  if syntax then return syntax:gsub("^docker%-image://", ""), true end
  return failed.name:match("^%[internal%] load metadata for (%S+)")
    or failed.name:match("^%[[^%]]*%] FROM ([^@%s]+)")
end

-- What its registry says is no failure of the build; some of it passes.
local function base_failure(build, image, is_syntax, message)
  local words = reason_of(message)
  local failure = fault.of("docker build", image, words)
  local line = is_syntax and 1
    or dockerfile_images.line_of(build.dockerfile.text, image, build.spec.args)
  local place = line and ("%s:%d: "):format(build.dockerfile.name, line) or ""
  failure.message = ("docker build: %s%s%s: %s"):format(place, is_syntax and "# syntax=" or "FROM ",
    image, words)
  if is_syntax then
    failure.hint = "without a line '# syntax=' the daemon takes the builder that it has"
  end
  local good, parsed = pcall(reference.parse, image)
  if not good then return failure end
  local host = credentials.host_of(parsed.host)
  return credentials.blame(build.job, failure, build.logins[host], host)
end

local function key_of(id) return id:find("^[%a_][%w_]*$") and id or ('["%s"]'):format(id) end

local function secret_hint(id)
  return ("the step gives the build no secret '%s': secrets = { %s = job.secrets.NAME }"):format(id,
    key_of(id))
end

-- A mount of a secret that nobody gives is left out without a word, unless it is "required".
local function mount_hint(build, instruction)
  for mount in (instruction or ""):gmatch("%-%-mount=(%S+)") do
    local id = mount:find("type=secret", 1, true) and mount:match("%f[%w]id=([^,]+)")
    if id and not build.spec.secrets[id] then return secret_hint(id) end
  end
end

-- The source of a COPY or ADD that lies at or below what the builder did not find: it may name a
-- directory above.
local function source_of(instruction, path)
  local words = instruction:gsub("^%u+", ""):gsub(" %-%-%S+", "")
  for word in words:gmatch(words:find("^ %[") and '"([^"]*)"' or "%S+") do
    local source = word:gsub("^%./", ""):gsub("^/+", ""):gsub("/+$", "")
    if (source .. "/"):sub(1, #path + 1) == path .. "/" and not source:find("[*?%[]") then
      return source
    end
  end
  return path
end

local function copy_hint(build, path, instruction)
  if not instruction or instruction:find("--from=", 1, true) then return nil end
  path = source_of(instruction, path)
  local context = build.context
  if context.files.stat(context.dir .. "/" .. path) then
    return ("'%s' is in the context; does the .dockerignore leave it out?"):format(path)
  end
  local dir, name = path:match("^(.*)/([^/]*)$")
  local near = nearest.find(name or path,
    context.files.list(context.dir .. "/" .. (dir or "")) or {})
  return ("no '%s' in the context %s%s"):format(path, context.label or context.dir,
    near and ("; did you mean '%s'?"):format((dir and dir .. "/" or "") .. near) or "")
end

local function hint_of(build, reason, instruction)
  if reason:find("requires BuildKit", 1, true) then
    return build.spec.classic and "leave out classic = true" or nil
  end
  if reason:find("no active sessions", 1, true) then
    return "the base image's registry asks for a login: pull the image first, or log in"
  end
  local path = reason:match('"/([^"]+)":? not found') or reason:match("stat (.+): file does not exist")
    or reason:match('stat: "/([^"]+)": no such file')
  if path then return copy_hint(build, path, instruction) end
  local secret = reason:match("secret (%S-):? not found")
  if secret then return secret_hint(secret) end
  local agent = reason:match("no ssh agent (%S+)")
  if agent then
    return agent == "default" and "forward an agent to the build: ssh = true"
      or ("forward an agent to the build: ssh = { %s = path of its socket }"):format(key_of(agent))
  end
  if reason:find("target stage", 1, true) or reason:find("build target", 1, true) then
    local stages = table.concat(dockerfiles.stage_names(build.dockerfile.text), ", ")
    return stages == "" and "no stage of the Dockerfile has a name: FROM image AS name"
      or "the Dockerfile's stages are: " .. stages
  end
  return mount_hint(build, instruction) or fault.hint_of(reason)
end

-- The refusal of a pattern in the .dockerignore that counts; nil when all of them are good.
local function refused_pattern(build)
  local context = build.context
  for _, name in ipairs { build.dockerfile.name .. ".dockerignore", ".dockerignore" } do
    local text = context.files.read(context.dir .. "/" .. name, IGNORE_MAX)
    if text then
      local _, refusal = tar.ignore(text)
      if refusal then
        refusal.message = refusal.message:gsub("^%.dockerignore", { [".dockerignore"] = name })
      end
      return refusal
    end
  end
end

--- The session's failure, with the place of a pattern that it refused.
---@param build table of docker.build
---@param failure orch.error
---@return orch.error
local function of_pattern(build, failure)
  return failure.message:find("^the %.dockerignore: ") and refused_pattern(build) or failure
end

--- The error for the builder's words, with what the failing instruction printed.
---@param build table of docker.build
---@param message string
---@return orch.error
local function of(build, message)
  local base, is_syntax = base_of(build)
  if base then return base_failure(build, base, is_syntax, message) end
  local code = message:match("exit code: (%d+)") or message:match("non%-zero code: (%d+)")
    or message:match("exit status (%d+)%s*$")
  local place, detail = place_of(build, message), build.progress:detail()
  local reason = reason_of(message)
  local refused = reason == "syntax error in pattern" and refused_pattern(build)
  if refused then return refused end
  local words = code and place.text and "exit code: " .. code or reason
  return error_value.new { kind = "failed", op = "docker build",
    code = math.tointeger(tonumber(code)),
    message = ("docker build: %s%s"):format(place_text(build, place), words),
    detail = detail ~= "" and detail or nil, hint = hint_of(build, reason, place.text) }
end

--- The same for a request that failed: a 400 and 500 about the Dockerfile are a build that failed.
---@param build table of docker.build
---@param failure orch.error
---@return orch.error
local function of_request(build, failure)
  for _,
    words in ipairs { "dockerfile parse error", "failed to reach build target", "target stage" } do
    if failure.message:find(words, 1, true) then
      return of(build, (failure.message:gsub("^docker build: ", "")))
    end
  end
  return failure
end

return { of = of, of_pattern = of_pattern, of_request = of_request }
