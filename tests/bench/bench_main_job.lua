-- The main job with everything cached against the seed's own lines with git, aws and docker, and
-- against the daemon's own time for the same build and pushes.
local client = require "orch.docker.client"
local fs = require "orch.fs"
local hash = require "orch.hash"
local json = require "orch.json"
local measure = require "measure"
local proc = require "orch.proc"
local task = require "orch.task"

local dir = os.getenv("ORCH_BENCH_DIR") .. "/main_job"
local orch = assert(fs.real_path("/proc/self/exe"))
local root = assert(fs.cwd())
local project = dir .. "/app"
assert(fs.make_dir(dir))
local function shell(command, env)
  local result =
    assert(proc.run { argv = { "/bin/bash", "-eo", "pipefail", "-c", command }, env = env })
  assert(result.code == 0, result.stdout)
  return result.stdout
end
shell(("cp -R %s/examples/app %s && cd %s && git init -q -b main && git add -A && "
  .. "git -c user.name=b -c user.email=b@b commit -q -m app"):format(root, project, project))

local environment = fs.environment()
environment.ORCH_STATE = dir .. "/state"
local ours = { orch, "run", root .. "/recipes/build_push_docker_image.lua", "--project", project,
  "repository=bench" }
measure.once { argv = ours, env = environment }

local registry, alias = os.getenv("ORCH_TEST_REGISTRY"), os.getenv("ORCH_TEST_ECR_ALIAS")
local uri = ("%s/%s/bench"):format(registry, alias)

-- The lines of the seed; checkout as the vendor does it, workspace by tar, both tags pushed as ours
-- are.
local SEED <const> = [[
rm -rf work ecr && mkdir -p work ecr
aws ecr-public describe-repositories --region us-east-1 --endpoint-url "$AWS_ENDPOINT_URL_ECR_PUBLIC" --repository-names bench > /dev/null
echo 'export ECR_NAME="bench"' >> ecr/ecr_envars
echo 'export ECR_PUBLIC_URI="]] .. uri .. [["' >> ecr/ecr_envars
echo 'export ECR_URL=]] .. registry .. "/" .. alias .. [[' >> ecr/ecr_envars
tar -czf layer1.tar.gz -C ecr . && rm -rf ecr && mkdir ecr
git clone -q app work && cd work
tar -xzf ../layer1.tar.gz -C ../ecr
export TAG=0.1.1
echo 'export TAG='$TAG >> ../ecr/ecr_envars
source ../ecr/ecr_envars
DOCKER_BUILDKIT=1 docker build -q -t $ECR_PUBLIC_URI -t $ECR_PUBLIC_URI:$TAG .
aws ecr-public get-login-password --region us-east-1 --endpoint-url "$AWS_ENDPOINT_URL_ECR_PUBLIC" | docker login --username AWS --password-stdin $ECR_URL 2>/dev/null
docker push -q $ECR_PUBLIC_URI
docker push -q $ECR_PUBLIC_URI:$TAG
tar -czf ../layer2.tar.gz -C ../ecr .
]]
-- Debian's docker, which has BuildKit built in, whatever else stands on PATH.
local their_environment = fs.environment()
their_environment.PATH = "/usr/bin:" .. their_environment.PATH
local theirs = { "/bin/bash", "-eo", "pipefail", "-c", SEED }

measure.compare {
  title = "the main job, everything cached, against the seed's lines with git, aws and docker",
  a = { label = "orch run", argv = ours, env = environment },
  b = { label = "git, aws, docker", argv = theirs, cwd = dir, env = their_environment },
  runs = 7,
}

-- The same build and pushes as bare requests: what the daemon needs whatever the client.
local context = dir .. "/context.tar"
shell(("tar -C %s --exclude=.git -cf %s --owner=0 --group=0 --numeric-owner Dockerfile .dockerignore server.sh www")
  :format(project, context))
local body = assert(fs.read(context))
local connected = client.connect()
local auth = hash.base64(json.encode { username = os.getenv("ORCH_TEST_REGISTRY_USER"),
  password = os.getenv("ORCH_TEST_REGISTRY_PASSWORD"), serveraddress = registry }, "url")

local function drain(reply)
  for line in connected.lines("bench", reply) do
    if line.errorDetail then error(line.errorDetail.message, 0) end
  end
end

local function daemon_alone()
  local started = task.clock()
  drain(assert(connected:request { op = "build", method = "POST", path = "/build", stream = true,
    body = body,
    query = { t = { uri .. ":latest", uri .. ":0.1.1" }, version = 2 },
    headers = { ["Content-Type"] = "application/x-tar" } }))
  for _, tag in ipairs { "latest", "0.1.1" } do
    drain(assert(connected:request { op = "push", method = "POST",
      path = "/images/" .. uri .. "/push", stream = true,
      query = { tag = tag }, headers = { ["X-Registry-Auth"] = auth } }))
  end
  return { seconds = task.clock() - started }
end

measure.compare {
  title = "the main job against the daemon's own time for one build and two pushes",
  a = { label = "daemon alone", run = daemon_alone },
  b = { label = "orch run", argv = ours, env = environment },
  runs = 15,
}
