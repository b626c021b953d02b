-- Signed calls of AWS services that speak JSON 1.1.
--
-- Wire format and error shapes: AWS JSON 1.1 protocol
-- (smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html).
local error_value = require "orch.error"
local json = require "orch.json"
local task = require "orch.task"

local ATTEMPTS <const> = 3 -- in all; as the CLI's standard mode

local KINDS <const> = {
  UnrecognizedClientException = "auth", InvalidClientTokenId = "auth",
  InvalidSignatureException = "auth",
  SignatureDoesNotMatch = "auth", ExpiredTokenException = "auth", RequestExpired = "auth",
  AccessDeniedException = "auth", MissingAuthenticationTokenException = "auth",
  IncompleteSignature = "auth", MissingAuthenticationToken = "auth",
  RepositoryNotFoundException = "missing", ImageNotFoundException = "missing",
  RepositoryAlreadyExistsException = "conflict", InvalidParameterException = "usage",
  LimitExceededException = "limit",
}

local HINTS <const> = {
  UnrecognizedClientException = "AWS does not know this access key id: check AWS_ACCESS_KEY_ID",
  InvalidClientTokenId = "AWS does not know this access key id: check AWS_ACCESS_KEY_ID",
  InvalidSignatureException = "check AWS_SECRET_ACCESS_KEY and this machine's clock",
  SignatureDoesNotMatch = "check AWS_SECRET_ACCESS_KEY and this machine's clock",
  ExpiredTokenException = "the session has expired: get new credentials",
  AccessDeniedException = "the key's owner lacks a permission; a login to ECR Public needs both "
    .. "ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken",
}

local RETRIED <const> = { RequestTimeout = true, RequestTimeoutException = true, Throttling = true,
  ThrottlingException = true, ThrottledException = true, RequestThrottledException = true,
  TooManyRequestsException = true, RequestLimitExceeded = true, SlowDown = true }

local function is_loopback(host)
  return host == "localhost" or host == "[::1]" or host:match("^127%.%d+%.%d+%.%d+$") ~= nil
end

-- AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, else the service's own.
local function endpoint_of(service)
  local url
  if os.getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") ~= "true" then
    url = os.getenv("AWS_ENDPOINT_URL_" .. service.env)
    if not url or url == "" then url = os.getenv("AWS_ENDPOINT_URL") end
  end
  if not url or url == "" then return service.url end
  local host = url:match("^http://(%[[^%]]+%])") or url:match("^http://([^/:]+)")
  if host and not is_loopback(host) then
    error(error_value.new { kind = "usage",
      message = ("the endpoint %s would carry credentials without TLS: use https"):format(url) }, 0)
  end
  return (url:gsub("/$", ""))
end

local function code_of(reply, decoded)
  local text = reply.headers["x-amzn-query-error"] or decoded.__type
    or reply.headers["x-amzn-errortype"]
  if type(text) ~= "string" then return tostring(reply.status) end
  return (text:gsub(";.*$", ""):gsub("^.*#", ""):gsub(":.*$", ""))
end

local function failure_of(service, operation, reply)
  local decoded = json.decode(reply.body)
  if type(decoded) ~= "table" then decoded = {} end
  local code = code_of(reply, decoded)
  local message = decoded.message or decoded.Message or ("HTTP status %d"):format(reply.status)
  local kind = KINDS[code] or reply.status >= 500 and "remote" or reply.status == 403 and "auth"
    or "remote"
  return error_value.new { kind = kind, op = operation, status = reply.status, aws_code = code,
    hint = HINTS[code],
    request_id = reply.headers["x-amzn-requestid"],
    message = ("%s %s: %s: %s"):format(service.name, operation, code, tostring(message)) }
end

local function send(service, operation, body, credentials)
  local url = endpoint_of(service) .. "/"
  local signed = require "orch.hash".sigv4 {
    method = "POST", url = url, body = body, region = service.region,
    service = service.signing_name,
    headers = { ["Content-Type"] = "application/x-amz-json-1.1",
      ["X-Amz-Target"] = service.target .. "." .. operation },
    access_key = credentials.access_key, secret_key = credentials.secret_key,
    session_token = credentials.session_token,
  }
  local reply, failure = require "orch.http".request { url = url, method = "POST",
    headers = signed.headers,
    body = body, connect_timeout = 10, timeout = 60, redirects = 0 }
  if not reply then
    failure.message = ("%s %s: %s"):format(service.name, operation, failure.message)
    return nil, failure
  end
  if reply.status ~= 200 then return nil, failure_of(service, operation, reply) end
  local decoded, json_failure = json.decode(reply.body)
  if not decoded then
    return nil, error_value.new { kind = "remote", op = operation,
      message = ("%s %s: the answer is no JSON: %s"):format(service.name, operation,
        json_failure.message) }
  end
  return decoded
end

local function worth_another_try(failure)
  return failure.kind == "net" or failure.kind == "timeout" or RETRIED[failure.aws_code]
    or failure.status and failure.status >= 500
end

---@class orch.AwsService
---@field name string for people
---@field env string in AWS_ENDPOINT_URL_…
---@field url string
---@field signing_name string
---@field target string prefix of X-Amz-Target
---@field region string

--- Calls an operation; retries what may pass.
---@param service orch.AwsService
---@param operation string
---@param input table
---@param credentials { access_key: any, secret_key: any, session_token?: any }
---@return table? answer, table? err
local function call(service, operation, input, credentials)
  local body = json.encode(input)
  for attempt = 1, ATTEMPTS do
    local answer, failure = send(service, operation, body, credentials)
    if answer or attempt == ATTEMPTS or not worth_another_try(failure) then
      return answer, failure
    end
    task.sleep(math.random() * 2 ^ (attempt - 1))
  end
end

return { call = call }
