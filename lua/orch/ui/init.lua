-- Shows a run: chooses the reporter, feeds it, keeps it awake while the run goes on.
local branches = require "orch.branches"
local ci = require "orch.ui.ci"
local nearest = require "orch.nearest"
local options = require "orch.options"
local spool = require "orch.spool"
local task = require "orch.task"
local term = require "orch.term"

local FORMATS <const> = { "json", "plain", "tty" }
local STDIN <const> = 0
local STDOUT <const> = 1
local AGES <const> = 1e8         -- seconds
local LAST_WORDS <const> = 3     -- seconds that a slow reader has after a cancellation

-- A terminal gets pictures, unless it cannot show them or is a CI service's.
local function default_format(env)
  if not term.is_tty(STDOUT) or env "TERM" == "dumb" or ci.dialect(env) then return "plain" end
  return "tty"
end

--- The format that a command line asks for: --json is short for --format json.
---@param parsed { format?: string, json?: boolean }
---@return string?
local function format_of(parsed)
  if parsed.json and parsed.format and parsed.format ~= "json" then
    options.usage("--json and --format %s contradict each other", parsed.format)
  end
  return parsed.json and "json" or parsed.format
end

-- Waits for the run while its reporter ticks. A cancellation is the run's: it is reported, not
-- obeyed.
local function attend(work, reporter)
  local told = false
  while true do
    local result = table.pack(work:join(reporter:tick()))
    if result[1] ~= nil then return result end
    local reason = task.cancelled()
    if reason and not told then
      told = true
      reporter:interrupted(reason.message)
    end
  end
end

-- Writes what is left. After Ctrl-C a reader that does not read is not waited for.
local function close(out)
  if task.cancelled() then
    pcall(branches.cleanup, function() out:close() end, LAST_WORDS)
    return nil
  end
  local closed, failure = out:close()
  return not closed and failure or nil
end

--- Runs f with the reporters for that format; what f gives is what a command gives: an exit code,
--- or nil and an error.
---@param format? "json"|"plain"|"tty" default: tty at a terminal, else plain
---@param f fun(reporters: function[]): boolean, table?
---@param how? { why?: boolean } what else the reporter is to show
local function report(format, f, how)
  format = format or default_format(os.getenv)
  if not nearest.contains(FORMATS, format) then
    options.usage("unknown format '%s'%s", format, nearest.hint(format, FORMATS))
  end
  local out = assert(spool.open(STDOUT))
  local reporter = require("orch.ui." .. format).new(out, { fd = STDOUT, why = how and how.why })
  -- Started before the cancellation is held back here, so that it reaches the run.
  local work = task.spawn(f, { function(event) reporter:receive(event) end })
  local joined, good, failure =
    table.unpack(branches.cleanup(function() return attend(work, reporter) end, AGES))
  reporter:finish()
  local unwritten = close(out)
  if not joined then error(good, 0) end
  if good and not unwritten then return 0 end
  if unwritten then
    unwritten.hint = good and "the run went on to its end, good: `orch logs` and `orch show` have it"
      or nil
  end
  failure = failure or unwritten
  failure.shown = format ~= "json" -- its step's last lines
  return nil, failure
end

--- Can a person be asked while the run is shown in that format?
---@param format? string as given to report
---@return boolean
local function interactive(format)
  return (format or default_format(os.getenv)) == "tty" and term.is_tty(STDIN)
end

return { format = format_of, report = report, interactive = interactive }
