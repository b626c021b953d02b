-- 1,000 children at once, with 1,024 descriptors.
local fs = require "orch.fs"
local measure = require "measure"

local COUNT <const> = 1000

local dir = os.getenv("ORCH_BENCH_DIR") .. "/children"
assert(fs.make_dir(dir))
assert(fs.write(dir .. "/children.lua", ([[
local proc, task = require "orch.proc", require "orch.task"
local tasks = {}
for i = 1, %d do
  tasks[i] = task.spawn(function() assert(assert(proc.run { argv = { "/bin/sleep", "0.5" } }).code == 0) end)
end
for _, each in ipairs(tasks) do local good, failure = each:join() if not good then error(failure, 0) end end
]]):format(COUNT)))
assert(fs.write(dir .. "/children.sh",
  ('i=0; while [ $i -lt %d ]; do /bin/sleep 0.5 & i=$((i+1)); done; wait\n'):format(COUNT)))
local orch = assert(fs.real_path("/proc/self/exe"))

measure.compare {
  title = ("%d children at once (each sleeps 0.5 s)"):format(COUNT),
  a = { label = "sh, & and wait", argv = { "/bin/sh", dir .. "/children.sh" } },
  b = { label = "orch", argv = { orch, "lua", dir .. "/children.lua" } },
  runs = 3,
}
