-- A build context of 10,000 files (200 MB): sent whole, unchanged, with one file changed, against the docker CLI.
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
assert(fs.write(dir .. "/build.lua", ([[
local orch = require "orch"
return orch.job { name = "build", run = function(job)
  local built = job:docker_build { context = %q, tags = { "bench-context:ours" } }
  job:log("%%d files sent", built.context.files)
end }
]]):format(dir .. "/ours")))

local ours = { orch, "run", dir .. "/build.lua" }
local theirs = { "docker", "build", "-q", "-t", "bench-context:theirs", dir .. "/theirs" }

local function forget() shell "docker builder prune -af > /dev/null; docker image rm -f bench-context:ours bench-context:theirs > /dev/null 2>&1 || true" end

local function prepared(argv, before)
  return function()
    before()
    return measure.once { argv = argv, env = environment }
  end
end

local function nothing() end

-- measure.compare begins with one of each that does not count.
measure.compare {
  title = "a context of 10,000 files, 200 MB, never seen by the daemon",
  a = { label = "docker build", run = prepared(theirs, forget) },
  b = { label = "orch run", run = prepared(ours, forget) },
  runs = 3,
}
measure.once { argv = theirs, env = environment }
measure.once { argv = ours, env = environment }
measure.compare {
  title = "the same, unchanged",
  a = { label = "docker build", run = prepared(theirs, nothing) },
  b = { label = "orch run", run = prepared(ours, nothing) },
  runs = 9, goal = "at most 1",
}
measure.compare {
  title = "the same, one file changed",
  a = { label = "docker build", run = prepared(theirs, function() shell "date +%N > theirs/d7/faaa" end) },
  b = { label = "orch run", run = prepared(ours, function() shell "date +%N > ours/d7/faaa" end) },
  runs = 3,
}
forget()
