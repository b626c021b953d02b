-- A login to ECR Public, checked against the registry: in process and as a whole process, against
-- the seed's `aws ecr-public get-login-password | docker login`.
local ecr_public = require "orch.aws.ecr_public"
local fs = require "orch.fs"
local http = require "orch.http"
local measure = require "measure"
local secret = require "orch.secret"
local task = require "orch.task"

local dir = os.getenv("ORCH_BENCH_DIR") .. "/ecr_login"
assert(fs.make_dir(dir))
local registry = os.getenv("ORCH_TEST_REGISTRY")
local credentials = { access_key = secret.new(os.getenv("AWS_ACCESS_KEY_ID"), "key"),
  secret_key = secret.new(os.getenv("AWS_SECRET_ACCESS_KEY"), "secret") }

local function login()
  local started = task.time()
  local token = ecr_public.token(credentials)
  local reply = assert(http.request { url = ("http://%s/v2/"):format(registry),
    basic = { user = token.username, password = token.password } })
  assert(reply.status == 200, reply.status)
  return { seconds = (task.time()) - started }
end

local script = dir .. "/login.lua"
assert(fs.write(script, [[
local ecr_public, http, secret = require "orch.aws.ecr_public", require "orch.http", require "orch.secret"
local token = ecr_public.token { access_key = secret.new(os.getenv "AWS_ACCESS_KEY_ID", "key"),
  secret_key = secret.new(os.getenv "AWS_SECRET_ACCESS_KEY", "secret") }
local reply = assert(http.request { url = "http://" .. os.getenv "ORCH_TEST_REGISTRY" .. "/v2/",
  basic = { user = token.username, password = token.password } })
return reply.status == 200 and 0 or 1
]]))

local orch = assert(fs.real_path("/proc/self/exe"))
local theirs = { "/bin/bash", "-eo", "pipefail", "-c",
  'aws ecr-public get-login-password --region us-east-1 --endpoint-url "$AWS_ENDPOINT_URL_ECR_PUBLIC" | '
    .. 'docker login --username AWS --password-stdin "$ORCH_TEST_REGISTRY" 2>/dev/null' }
local environment = fs.environment()
environment.PATH = "/usr/bin:" .. environment.PATH

measure.compare {
  title = "a login to ECR Public, as a whole process",
  a = { label = "orch lua login.lua", argv = { orch, "lua", script } },
  b = { label = "aws | docker login", argv = theirs, env = environment },
  runs = 9, goal = "at least 30",
}
measure.compare {
  title = "a login to ECR Public, in process",
  a = { label = "ecr_public.token + GET /v2/", run = login },
  b = { label = "aws | docker login", argv = theirs, env = environment },
  runs = 9, goal = "at least 100",
}
