-- The docker executor: a step in the job's container against `docker exec`, and a whole job in a
-- container against `docker run` of the same lines.
local fs = require "orch.fs"
local measure = require "measure"
local proc = require "orch.proc"

local STEPS <const> = 20
local MANY <const> = 300
local IMAGE <const> = "busybox:1.36"

local dir = os.getenv("ORCH_BENCH_DIR") .. "/container"
local orch = assert(fs.real_path("/proc/self/exe"))
assert(fs.make_dir(dir))
local environment = fs.environment()
environment.ORCH_STATE = dir .. "/state"

local function job(name, steps)
  local file = ("%s/%s.lua"):format(dir, name)
  assert(fs.write(file, ([[
local orch = require "orch"
return orch.job { name = "job", executor = orch.docker { image = "%s" }, run = function(job)
  for i = 1, %d do job:run("echo " .. i) end
end }]]):format(IMAGE, steps)))
  return { orch, "run", file, "--project", dir }
end

local function shell(script)
  return { "/bin/sh", "-ec", script, "sh", IMAGE, tostring(STEPS) }
end

-- What a shell script would do for the same: a container that waits, steps by exec, the container
-- removed.
local EXECS <const> = [[
id=$(docker run -d --init $1 sleep 1000)
i=0; while [ $i -lt $2 ]; do i=$((i + 1)); docker exec $id /bin/sh -c "echo $i"; done
docker rm -f $id]]

measure.compare {
  title = ("a job of %d steps in a container, against docker run, exec and rm"):format(STEPS),
  a = { label = "orch run", argv = job("steps", STEPS), env = environment },
  b = { label = "docker exec", argv = shell(EXECS) },
  runs = 7,
}

measure.compare {
  title = "a job of one step in a container, against docker run --rm",
  a = { label = "orch run", argv = job("one", 1), env = environment },
  b = { label = "docker run --rm", argv = shell "docker run --rm --init $1 echo 1" },
  runs = 9,
}

local function seconds_of(argv) return measure.once({ argv = argv, env = environment }).seconds end

-- One step more, without what a job costs.
local one, many = job("one", 1), job("many", 1 + MANY)
local function per_step()
  local first = seconds_of(one)
  return { seconds = (seconds_of(many) - first) / MANY }
end

local id =
  assert(proc.run { argv = { "docker", "run", "-d", "--init", IMAGE, "sleep",
  "1000" } }).stdout:match("%x+")
measure.compare {
  title = "one step in a container that is there, against docker exec",
  a = { label = "a step", run = per_step },
  b = { label = "docker exec", argv = { "docker", "exec", id, "/bin/sh", "-c", "echo 1" } },
  runs = 9,
}
assert(proc.run { argv = { "docker", "rm", "-f", id } })
