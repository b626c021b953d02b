-- What one `bash` step costs beside the shell itself: a job of many, against make running the same
-- shell lines.
local fs = require "orch.fs"
local measure = require "measure"

local COUNT <const> = 500

local dir = os.getenv("ORCH_BENCH_DIR") .. "/spawn"
assert(fs.make_dir(dir))
local lines = { "SHELL = /bin/bash\n.SHELLFLAGS = -eo pipefail -c\nall:\n" }
for i = 1, COUNT do lines[#lines + 1] = ("\t@echo %d; :\n"):format(i) end
assert(fs.write(dir .. "/Makefile", table.concat(lines)))
assert(fs.write(dir .. "/steps.lua", ([[
local orch = require "orch"
return orch.job { name = "steps", run = function(job)
  for i = 1, %d do job:run(("echo %%d; :"):format(i)) end
end }
]]):format(COUNT)))

local environment = fs.environment()
environment.ORCH_STATE = dir .. "/state"
local orch = assert(fs.real_path("/proc/self/exe"))
local function quiet(command) return { "/bin/sh", "-c", command .. " > /dev/null" } end

measure.compare {
  title = ("a bash step, one after another (%d of them)"):format(COUNT),
  a = { label = "make", argv = quiet("make -C " .. dir) },
  b = { label = "orch run", argv = quiet(("%s run %s/steps.lua"):format(orch, dir)),
    env = environment },
  runs = 5, per = COUNT, goal = "at most 1",
}
