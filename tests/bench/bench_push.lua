-- A push of tags that the registry has already, against the docker command line.
local fs = require "orch.fs"
local measure = require "measure"
local proc = require "orch.proc"

local dir = os.getenv("ORCH_BENCH_DIR") .. "/push"
local orch = assert(fs.real_path("/proc/self/exe"))
local registry = os.getenv("ORCH_TEST_REGISTRY")
local names = { registry .. "/bench/push:1", registry .. "/bench/push:2",
  registry .. "/bench/push:3" }
assert(fs.make_dir(dir))

-- Debian's docker, whatever else stands on PATH.
local docker = "/usr/bin/docker"
local environment = fs.environment()
environment.ORCH_STATE = dir .. "/state"
environment.DOCKER_CONFIG = dir .. "/config"

local function shell(command)
  local result = assert(proc.run { argv = { "/bin/sh", "-ec", command }, env = environment })
  assert(result.code == 0, result.stdout)
end
shell(('printf %%s "$ORCH_TEST_REGISTRY_PASSWORD" | %s login -u AWS --password-stdin %s'):format(docker, registry))
for _, name in ipairs(names) do
  shell(("%s tag busybox:1.36 %s && %s push -q %s"):format(docker, name, docker, name))
end

local function recipe(file, count)
  local tags = {}
  for i = 1, count do tags[i] = ("%q"):format(names[i]) end
  assert(fs.write(dir .. "/" .. file, ([[
return require "orch".job { name = "push", run = function(job) job:docker_push { %s } end }
]]):format(table.concat(tags, ", "))))
  return { orch, "run", dir .. "/" .. file }
end

measure.compare {
  title = "a push of one tag that is there",
  a = { label = "orch run", argv = recipe("one.lua", 1), env = environment },
  b = { label = "docker push", argv = { docker, "push", "-q", names[1] }, env = environment },
  runs = 15, goal = "2 or more",
}

measure.compare {
  title = "a push of three tags that are there",
  a = { label = "orch run", argv = recipe("three.lua", 3), env = environment },
  b = { label = "docker push, three times", env = environment, argv = { "/bin/sh", "-ec",
    ("for n in %s; do %s push -q $n; done"):format(table.concat(names, " "), docker) } },
  runs = 15, goal = "2 or more",
}
