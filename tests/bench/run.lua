-- orch lua tests/bench/run.lua [NAME]…: the measurements, each a file beside this one.
local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")
package.path = here .. "/?.lua;" .. package.path

local ALL <const> = { "start_up", "main_job", "ecr_login", "context", "push", "spawn", "children",
  "groups", "mask", "jobs",
  "container" }

io.stdout:setvbuf "line" -- so that a log shows how far it is
local names = table.pack(...)
if names.n == 0 then names = ALL end
local measurements, failed = {}, false
for i, name in ipairs(names) do
  measurements[i] = assert(loadfile(("%s/bench_%s.lua"):format(here, name)))
end
for i, measure in ipairs(measurements) do -- one that fails keeps the others from nothing
  local started = os.time()
  local good, failure = xpcall(measure, function(problem)
    return type(problem) == "string" and debug.traceback(problem, 2) or tostring(problem)
  end)
  if not good then print(("\n%s FAILED: %s"):format(names[i], failure)) end
  print(("  (%s: %d s)"):format(names[i], os.time() - started))
  failed = failed or not good
end
return failed and 1 or 0
