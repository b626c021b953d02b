-- orch lua tests/bench/run.lua [NAME]…: the measurements, each a file beside this one.
local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")
package.path = here .. "/?.lua;" .. package.path

local ALL <const> = { "start_up", "main_job", "ecr_login", "context", "push", "spawn", "children", "groups", "mask", "jobs" }

local names = table.pack(...)
if names.n == 0 then names = ALL end
for _, name in ipairs(names) do assert(loadfile(("%s/bench_%s.lua"):format(here, name)))() end
