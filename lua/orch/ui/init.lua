-- Which reporter shows a run.
local branches = require "orch.branches"
local nearest = require "orch.nearest"
local options = require "orch.options"
local spool = require "orch.spool"
local task = require "orch.task"

local FORMATS <const> = { "json", "plain" }

local LAST_WORDS_SECONDS <const> = 2 -- for a reader that does not read when the run is cancelled

-- All that was printed is out before an error goes to the other stream.
local function close(out)
  if not task.cancelled() then return out:close() end
  return branches.cleanup(function() return out:close() end, LAST_WORDS_SECONDS)
end

local function outcome(written, write_failure, ran, good, failure)
  if not ran then error(good, 0) end
  if not good then return nil, failure end
  if not written then return nil, write_failure end
  return 0
end

--- Runs f with the reporters for that format; what f gives is what a command gives: an exit code, or nil and an error.
---@param format? "plain"|"json"
---@param f fun(reporters: function[]): boolean, table?
---@param how? table what else the reporter is to show
local function report(format, f, how)
  format = format or "plain"
  if not nearest.contains(FORMATS, format) then
    options.usage("unknown format '%s'%s", format, nearest.hint(format, FORMATS))
  end
  local out = assert(spool.open(1))
  local results = table.pack(pcall(f, { require("orch.ui." .. format).new(out, how) }))
  local written, write_failure = close(out)
  return outcome(written, write_failure, table.unpack(results, 1, results.n))
end

return { report = report }
