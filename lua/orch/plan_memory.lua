-- What a plan may hold. A loop that only a run would leave may make ever longer texts in one.
local error_value = require "orch.error"

local HELD_MAX <const> = 256 * 1024   -- KiB
local LOOSE_MAX <const> = 2 * HELD_MAX -- with what nobody holds any more

--- Ends the job's plan when plans hold too much. Cheap: called at each step and unknown value.
---@param where? string|fun(): string? the recipe's line
local function check(where)
  if collectgarbage("count") <= LOOSE_MAX then return end
  collectgarbage()
  if collectgarbage("count") <= HELD_MAX then return end
  error(error_value.new { kind = "limit", full = true,
    where = type(where) == "function" and where() or where,
    message = ("the plan of a job ends at %d MiB of memory; its steps are not shown"):format(
      HELD_MAX // 1024),
    hint = "if a loop makes ever longer texts, let it end by what a step gives, or by a count" },
    0)
end

return { check = check }
