-- 10,000 jobs that each run `:` in a shell, against ninja with the same graph and the same shell.
local fs = require "orch.fs"
local measure = require "measure"
local task = require "orch.task"

local COUNT <const> = tonumber(os.getenv("ORCH_BENCH_JOBS")) or 10000

local dir = os.getenv("ORCH_BENCH_DIR") .. "/jobs"
assert(fs.make_dir(dir))
assert(fs.write(dir .. "/jobs.lua", ([[
local orch = require "orch"
local jobs = {}
for i = 1, %d do
  jobs[i] = orch.job { name = "j" .. i, run = function(job) job:run { ":", shell = "/bin/sh" } end }
end
return orch.pipeline(jobs)
]]):format(COUNT)))
local lines = { "rule r\n  command = :\n" }
for i = 1, COUNT do lines[#lines + 1] = ("build j%d: r\n"):format(i) end
assert(fs.write(dir .. "/build.ninja", table.concat(lines)))

local environment = fs.environment()
environment.ORCH_STATE = dir .. "/state"
local orch = assert(fs.real_path("/proc/self/exe"))
local function quiet(command) return { "/bin/sh", "-c", command .. " > /dev/null" } end

measure.compare {
  title = ("%d jobs that run `:`, %d at once"):format(COUNT, task.cores()),
  a = { label = "ninja", argv = quiet(("ninja -j %d -C %s"):format(task.cores(), dir)),
    env = environment },
  b = { label = "orch run",
    argv = quiet(("%s run %s/jobs.lua -j %d"):format(orch, dir, task.cores())), env = environment },
  runs = 3, goal = "1.0",
}
