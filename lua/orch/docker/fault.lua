-- What a registry's refusal is, from the daemon's words for it; and trying again when it may pass.
--
-- The daemon itself tries again only uploads of layers, on 5xx and broken connections; not the
-- manifest, not the login, nothing on 429 (moby, distribution/xfer/upload.go).
local error_value = require "orch.error"
local task = require "orch.task"

local ATTEMPTS <const> = 5
local FIRST_WAIT <const> = 0.5      -- seconds; doubled each time, give or take a quarter
local FIRST_WAIT_429 <const> = 2
local RETRY_AFTER_MAX <const> = 120 -- a registry that asks for more is not waited for

-- Codes of the registry's protocol, as "code: message" (OCI distribution-spec, error codes).
local CODES <const> = {
  { "toomanyrequests", "remote", passing = true }, { "unavailable", "remote", passing = true },
  { "(text/html)", "remote" }, { "unknown blob", "missing" },
  { "unauthorized", "auth" }, { "denied", "auth" }, { "no basic auth credentials", "auth" },
  { "authentication required", "auth" }, { "name unknown", "missing" },
  { "manifest unknown", "missing" },
  { "manifest for", "missing" }, { "blob unknown", "missing" }, { "tag does not exist", "missing" },
  { "does not exist locally with the tag", "missing" }, { "no such image", "missing" },
  { "does not match the specified platform", "missing" },
  { "does not exist in the registry", "missing" }, -- ECR's words, where a daemon gives no code
  { ": not found", "missing" },
  { "tag invalid", "conflict" }, { "immutable", "conflict" }, { "name invalid", "usage" },
  { "invalid reference format", "usage" }, { "cannot push a digest reference", "usage" },
}

local NETWORK <const> = {
  { "x509:" }, { "certificate" }, { "server gave http response to https client" },
  { "no such host" },
  { "tls: " }, { "unsupported protocol scheme" },
  { "connection reset", passing = true }, { "broken pipe", passing = true },
  { "%f[%a]eof%f[%A]", passing = true, pattern = true },
  { "i/o timeout", passing = true }, { "handshake timeout", passing = true },
  { "connection refused", passing = true },
  { "server closed idle connection", passing = true }, { "timeout exceeded", passing = true },
  { "deadline exceeded", passing = true }, { "no route to host", passing = true },
  { "network is unreachable", passing = true }, { "server misbehaving", passing = true },
  { "connection timed out", passing = true }, { "transport connection broken", passing = true },
}

local STATUS_PATTERNS <const> = { "HTTP status:? (%d%d%d)", "parsing HTTP (%d%d%d) response",
  "failed with status:? (%d%d%d)", "unexpected status.-: (%d%d%d) %u", "status code:? (%d%d%d)",
  "status code %b[]: (%d%d%d)" }

local HINTS <const> = {
  auth =
    "is there a login for this registry (docker_login, auth = …, config.json), and may it do this?",
  missing = "is the name right, and does the repository exist?",
}

-- What to do about words of Go's, OpenSSL's and curl's on TLS with a registry.
local OTHER_NAME <const> =
  "HOST's certificate must be made for the name or address that it is called by"
local NO_TLS <const> =
  "HOST has no TLS: the daemon must be told so, by insecure-registries in its daemon.json, or in "
  .. "podman's registries.conf"
local TLS_HINTS <const> = {
  { "certificate has expired", "HOST needs a new certificate; or is a clock wrong?" },
  { "not yet valid", "is the clock right, here and at HOST?" },
  { "ip sans", OTHER_NAME }, { "certificate is valid for", OTHER_NAME },
  { "certificate subject name", OTHER_NAME },
  { "certificate",
    "its authority's certificate belongs into /etc/docker/certs.d/HOST/ca.crt, where the daemon runs; "
    .. "BuildKit of an old daemon reads it when that is started" },
  { "http response to https", NO_TLS }, { "does not look like a tls handshake", NO_TLS },
  { "wrong version number", NO_TLS },
}

-- What to do about answers that are not what was asked for; the daemon takes none of them.
local MISMATCH <const> =
  "what came is not what its digest says: ask whoever runs the registry, or a proxy before it"
local PAGE <const> =
  "what came is a page for people: does something stand before the registry, and want a login?"
local ANSWER_HINTS <const> = {
  { "failed size validation", MISMATCH }, { "verification failed for digest", MISMATCH },
  { "unexpected commit digest", MISMATCH }, { "(text/html)", PAGE },
  { "invalid character '<'", PAGE },
}

local WORDS_MAX <const> = 4096 -- of what a daemon or registry says went wrong

--- Words of others for a message, as many as a person reads.
---@param text string
---@return string
local function brief(text)
  if #text <= WORDS_MAX then return text end
  return text:sub(1, WORDS_MAX):gsub("[\xC0-\xFF][\x80-\xBF]*$", "") .. "…"
end

--- The error for an account that has no end: what is kept of it has one.
---@param op string
---@param count integer
---@param what string
---@return orch.error
local function endless(op, count, what)
  return error_value.new { kind = "limit", op = op,
    message = ("%s: the daemon tells of more than %d %s"):format(op, count, what) }
end

local function status_of(message)
  for _, pattern in ipairs(STATUS_PATTERNS) do
    local status = message:match(pattern)
    if status then return math.tointeger(tonumber(status)) end
  end
end

local function kind_of_status(status)
  if status == 401 or status == 403 then return "auth" end
  if status == 404 then return "missing" end
  if status == 409 then return "conflict" end
  return "remote", status == 429 or status == 408 or status >= 500
end

local function find(rules, lowered)
  for _, rule in ipairs(rules) do
    if lowered:find(rule[1], 1, not rule.pattern) then return rule end
  end
end

--- What to do about TLS with a registry that did not come about; nil when that is not the matter.
---@param message string
---@param host string
---@return string? hint
local function tls_hint(message, host)
  local lowered = message:lower()
  for _, each in ipairs(TLS_HINTS) do
    if lowered:find(each[1], 1, true) then
      return (each[2]:gsub("HOST", (host:gsub("%%", "%%%%"))))
    end
  end
end

--- What to do about a failure of the daemon itself, if it is known.
---@param message string
---@return string? hint
local function hint_of(message)
  if message:find("no space left on device", 1, true) then
    -- After an error, fsutil's DiskWriter leaves the file open that BuildKit deletes then; Go's
    -- collector closes it.
    return "the daemon's disk is full: `docker system df` tells of what, `docker system prune` makes room; what a "
      .. "build that failed had sent is gone within minutes, or when the daemon is started again"
  elseif message:find("container-init binary not found", 1, true) then
    return "podman needs a program for a container's first process: `apt-get install catatonit`"
  elseif message:find("unable to find user", 1, true) then
    return "the image's /etc/passwd has no such user: give another name, or numbers, as in user = \"1000:1000\""
  end
end

-- A login's reference is the host by itself.
local function host_of(reference)
  local first, path = reference:match("^([^/]+)(/?)")
  if path == "" and first:find(":%d+$") then return first end
  return path == "/" and first:find("[.:]") and first or "docker.io"
end

-- kind, passing, hint; kind is nil when the words say nothing.
local function classify(message, reference)
  local status = status_of(message)
  if status then return kind_of_status(status) end
  -- The name's own words ("team/denied") say nothing.
  local name = reference:lower():gsub("@.*$", ""):gsub(":[^:/]*$", "")
  local lowered = message:lower():gsub(name:gsub("%p", "%%%0"), ""):gsub("_", " ") -- MANIFEST_UNKNOWN
  local answer = find(ANSWER_HINTS, lowered)
  local rule = find(CODES, lowered)
  if rule then return rule[2], rule.passing, answer and answer[2] end
  rule = find(NETWORK, lowered)
  if rule then
    return "net", rule.passing, tls_hint(lowered, host_of(reference))
  end
  return nil, false, answer and answer[2]
end

-- Seconds that the registry asks to wait, where its words reach us.
local function retry_after(message)
  local lowered = message:lower()
  return tonumber(lowered:match("retry%-after:? *(%d+)") or lowered:match("retry after:? *(%d+)")
    or lowered:match("try again in (%d+) *s") or lowered:match("retry in (%d+) *s"))
end

--- The error for what the daemon said of a registry.
---@param op string "docker push"
---@param reference string the image's
---@param message string
---@param asked? number seconds that the registry asks to wait, where it is known otherwise than by the message
---@param otherwise? string the kind where the words tell none; default "remote"
---@return table err with passing: it may go better another time
local function of(op, reference, message, asked, otherwise)
  local kind, passing, hint = classify(message, reference)
  kind = kind or otherwise or "remote"
  local wait = asked or retry_after(message)
  local limited = status_of(message) == 429
    or message:lower():find("toomanyrequests", 1, true) ~= nil
  if passing and wait and wait > RETRY_AFTER_MAX then
    passing, hint = false, ("the registry asks to wait %d s"):format(wait)
  end
  if message:find("does not exist locally", 1, true) then
    hint = "make it first: job:docker_build { tags = { … } }, job:image_tag, or job:image_load"
  end
  return error_value.new { kind = kind, op = op, passing = passing or false, retry_after = wait,
    limited = limited,
    hint = hint or HINTS[kind] or hint_of(message),
    message = ("%s %s: %s"):format(op, reference, brief(message)) }
end

--- The same for a request to the daemon that failed: what it answered, or that it did not.
---@param failure table from Client:request
local function of_request(op, reference, failure)
  if failure.status and failure.status ~= 400 then
    return of(op, reference, failure.message:match("^.-: (.*)$") or failure.message, nil,
      failure.kind)
  end
  failure.passing = failure.kind == "net"
  return failure
end

--- Calls once() until it gives something, or a failure that is no passing one; raises that.
---@param job orch.Job
---@param once fun(): any, table? what it gives, or a failure as its second result
local function retrying(job, once)
  for attempt = 1, ATTEMPTS do
    local result, failure = once()
    if failure == nil then return result end
    if attempt == ATTEMPTS or not failure.passing then
      if attempt > 1 then
        failure.message = ("%s (tried %d times)"):format(failure.message, attempt)
      end
      error(failure, 0)
    end
    local wait = (failure.limited and FIRST_WAIT_429
      or FIRST_WAIT) * 2 ^ (attempt - 1) * (0.75 + math.random() / 2)
    wait = math.max(wait, failure.retry_after or 0)
    job:log("%s; trying again in %.1f s", failure.message, wait)
    task.sleep(wait)
  end
end

return { of = of, of_request = of_request, retrying = retrying, hint_of = hint_of,
  tls_hint = tls_hint, brief = brief, endless = endless }
