-- 10,000 empty groups in one job, with the journal on.
local fs = require "orch.fs"
local proc = require "orch.proc"

local COUNT <const> = 10000

local dir = os.getenv("ORCH_BENCH_DIR") .. "/groups"
assert(fs.make_dir(dir))
assert(fs.write(dir .. "/groups.lua", ([[
local orch = require "orch"
return orch.job { name = "groups", run = function(job)
  for i = 1, %d do job:group("group " .. i, function() end) end
end }
]]):format(COUNT)))
assert(fs.write(dir .. "/none.lua",
  'local orch = require "orch"\nreturn orch.job { name = "n", run = function() end }\n'))

local environment = fs.environment()
environment.ORCH_STATE = dir .. "/state"
local orch = assert(fs.real_path("/proc/self/exe"))

local function seconds(recipe)
  local best = math.huge
  local peak = 0
  for _ = 1, 5 do
    local result =
      assert(proc.run { argv = { "/bin/sh", "-c",
      ("%s run %s/%s > /dev/null"):format(orch, dir, recipe) },
      env = environment })
    assert(result.code == 0, result.stdout)
    best, peak = math.min(best, result.seconds), math.max(peak, result.max_rss)
  end
  return best, peak
end

local with, peak = seconds("groups.lua")
local without = seconds("none.lua")
print(("\n%d empty groups in one job, journal on (best of 5)"):format(COUNT))
print(("  each %.1f us   peak %.1f MiB   goal: under 100 us"):format((with - without) / COUNT * 1e6,
  peak / 1048576))
