-- Build contexts of 10,000 files (200 MB) and of one file of 1 GB: sent whole, unchanged, with one
-- file changed, against the docker CLI.
local fs = require "orch.fs"
local measure = require "measure"
local proc = require "orch.proc"

local dir = os.getenv("ORCH_BENCH_DIR") .. "/context"
local orch = assert(fs.real_path("/proc/self/exe"))
assert(fs.make_dir(dir))
local function shell(command)
  local result = assert(proc.run { argv = { "/bin/sh", "-ec", command }, cwd = dir, timeout = 300 })
  assert(result.code == 0, result.stdout)
end

-- 100 directories of 100 files of 20 kB, the same for both sides, in one directory each.
shell [[
mkdir ours && cd ours
for d in $(seq 100); do
  mkdir d$d
  head -c 2000000 /dev/urandom | split -a 3 -b 20000 - d$d/f
done
printf 'FROM scratch\nCOPY . /c\n' > Dockerfile
cp -a ../ours ../theirs
]]

local environment = fs.environment()
environment.ORCH_STATE = dir .. "/state"
environment.DOCKER_BUILDKIT = "1"
assert(fs.write(dir .. "/build.lua", [[
local orch = require "orch"
return orch.job { name = "build", run = function(job)
  local built = job:docker_build { context = os.getenv("CONTEXT"), tags = { "bench-context:ours" } }
  job:log("%d files sent", built.context.files)
end }
]]))

local ours = { orch, "run", dir .. "/build.lua" }

-- The first docker on the PATH that can use BuildKit: newer ones need a plugin for it.
local function docker_command()
  for place in os.getenv("PATH"):gmatch "[^:]+" do
    local command = place .. "/docker"
    local asked = proc.run { argv = { command, "build", "--help" }, env = environment }
    if asked and asked.code == 0 then return command end
  end
  error("no docker command here can use BuildKit", 0)
end
local docker <const> = docker_command()

local function forget()
  shell [[docker builder prune -af > /dev/null
    docker image rm -f bench-context:ours bench-context:theirs > /dev/null 2>&1 || true]]
end

local function nothing() end

local turn = 0
local function change(file)
  return function(context)
    turn = turn + 1
    assert(fs.write(context .. file, tostring(turn)))
  end
end

-- Both in these directories; before each run, prepare(directory).
local function compare(title, runs, our_dir, their_dir, prepare)
  environment.CONTEXT = our_dir
  local function prepared(argv, context)
    return function()
      prepare(context)
      return measure.once { argv = argv, env = environment }
    end
  end
  measure.compare { -- which begins with one of each that does not count
    title = title,
    a = { label = "docker build",
      run = prepared({ docker, "build", "-q", "-t", "bench-context:theirs", their_dir },
        their_dir) },
    b = { label = "orch run", run = prepared(ours, our_dir) },
    runs = runs, goal = "at most 1",
  }
end

local function compare_all(what, our_dir, their_dir, file)
  compare(what .. ", never seen by the daemon", 3, our_dir, their_dir, forget)
  compare("the same, unchanged", 9, our_dir, their_dir, nothing)
  compare("the same, one file changed", 3, our_dir, their_dir, change(file))
  forget()
end

compare_all("a context of 10,000 files, 200 MB", dir .. "/ours", dir .. "/theirs", "/d7/faaa")

-- One directory for both sides: it does not fit twice everywhere.
shell [[
rm -rf ours theirs; mkdir big; head -c 1000000000 /dev/urandom > big/file
printf 'FROM scratch\nCOPY . /c\n' > big/Dockerfile
]]
compare_all("a context of one file, 1 GB", dir .. "/big", dir .. "/big", "/small")
