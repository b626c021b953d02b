-- Runs busted inside the engine: orch lua tests/run.lua [busted options] [spec or folder]…
local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")
package.path = here .. "/?.lua;" .. package.path

local failed
require "busted.compatibility".exit = function(code) -- busted would leave the process at once
  failed = code ~= 0
end

local given = table.pack(...)
arg = { [0] = "run.lua", "--helper=" .. here .. "/leftovers.lua", "-o", here .. "/output.lua",
  "--pattern=_spec", table.unpack(given, 1, given.n) }
if given.n == 0 then
  table.move({ here .. "/unit", here .. "/engine", here .. "/tidy" }, 1, 3, #arg + 1, arg)
end

require "busted.runner" { standalone = false }
return failed and 1 or 0
