-- `orch run` of an empty job (the run recorded) against `make` of an empty target.
local fs = require "orch.fs"
local measure = require "measure"

local TIMES <const> = 20 -- in one sample: a single run is shorter than the noise

local dir = os.getenv("ORCH_BENCH_DIR") .. "/start_up"
local orch = assert(fs.real_path("/proc/self/exe"))
assert(fs.make_dir(dir))
assert(fs.write(dir .. "/Makefile", "all:\n"))
assert(fs.write(dir .. "/empty.lua",
  'local orch = require "orch"\nreturn orch.job { name = "empty", run = function() end }\n'))

local function loop(command)
  return { "/bin/sh", "-c", ("for i in $(seq %d); do %s > /dev/null; done"):format(TIMES, command) }
end

local environment = fs.environment()
environment.ORCH_STATE = dir .. "/state"

measure.compare {
  title = "start-up: an empty job, its run recorded, against an empty make target",
  a = { label = "make", argv = loop("make -s -C " .. dir) },
  b = { label = "orch run", argv = loop(orch .. " run " .. dir .. "/empty.lua"),
    env = environment },
  runs = 15, per = TIMES, goal = "at most 3",
}
measure.compare {
  title = "of that: the program alone, without a run",
  a = { label = "make", argv = loop("make -s -C " .. dir) },
  b = { label = "orch version", argv = loop(orch .. " version"), env = environment },
  runs = 15, per = TIMES,
}
