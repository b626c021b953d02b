-- The command line: finds the command, turns an error into words and an exit code.
local error_value = require "orch.error"
local nearest = require "orch.nearest"

local COMMANDS <const> = { "answer", "cancel", "check", "gc", "graph", "help", "logs", "lua", "new", "plan", "rerun", "resume", "run",
  "runs", "show", "verbs", "version" }

local SHORT <const> = { ["--help"] = "help", ["-h"] = "help", ["--version"] = "version", ["-V"] = "version" }

local function print_error(failure, debugging)
  local lines = { "orch: " .. failure.message }
  local place = {}
  if failure.step then place[#place + 1] = ("step \"%s\""):format(failure.step) end
  if failure.job then place[#place + 1] = ("job %s"):format(failure.job) end
  if failure.where then place[#place + 1] = failure.where end
  if #place > 0 then lines[#lines + 1] = "  at: " .. table.concat(place, ", ") end
  if failure.hint then lines[#lines + 1] = "  try: " .. failure.hint end
  if debugging and failure.traceback then lines[#lines + 1] = failure.traceback end
  io.stderr:write(table.concat(lines, "\n"), "\n")
end

local function exit_code(failure)
  if failure.kind == "cancelled" and math.type(failure.code) == "integer" then return 128 + failure.code end
  return error_value.exit_code(failure.kind)
end

-- --debug may stand anywhere before the command's own arguments end.
local function take_debug(args)
  local rest, debugging = {}, os.getenv("ORCH_DEBUG") ~= nil
  for _, each in ipairs(args) do
    if each == "--debug" and rest[1] ~= "lua" then debugging = true else rest[#rest + 1] = each end
  end
  return rest, debugging
end

--- The program.
---@param args string[]
---@return integer exit code
local function main(args)
  local rest, debugging = take_debug(args)
  local name = table.remove(rest, 1) or "help"
  name = SHORT[name] or name
  if not nearest.contains(COMMANDS, name) then
    print_error { message = ("there is no command '%s'%s"):format(name, nearest.hint(name, COMMANDS)) }
    return error_value.exit_code("usage")
  end
  local good, result, failure = xpcall(function()
    return require("orch.cli." .. name).main(rest, debugging)
  end, error_value.on_error)
  if good and not failure then return result or 0 end
  failure = failure or result
  print_error(failure, debugging)
  return exit_code(failure)
end

return { main = main }
