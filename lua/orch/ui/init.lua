-- Which reporter shows a run.
local nearest = require "orch.nearest"
local options = require "orch.options"

local FORMATS <const> = { "json", "plain" }

--- Runs f with the reporters for that format; what f gives is what a command gives: an exit code, or nil and an error.
---@param format? "plain"|"json"
---@param f fun(reporters: function[]): boolean, table?
---@param how? table what else the reporter is to show
local function report(format, f, how)
  format = format or "plain"
  if not nearest.contains(FORMATS, format) then
    options.usage("unknown format '%s'%s", format, nearest.hint(format, FORMATS))
  end
  local good, failure = f { require("orch.ui." .. format).new(io.stdout, how) }
  if good then return 0 end
  return nil, failure
end

return { report = report }
