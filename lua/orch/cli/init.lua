-- The command line: finds the command, turns an error into words and an exit code.
local error_value = require "orch.error"
local nearest = require "orch.nearest"
local term = require "orch.term"

local COMMANDS <const> = { "answer", "cancel", "check", "completion", "discard", "doctor", "gc", "graph", "help",
  "logs", "lua", "new",
  "plan", "rerun", "resume", "run", "runs", "shell", "show", "test", "verbs", "version" }

local SHORT <const> = { ["--help"] = "help", ["-h"] = "help", ["--version"] = "version",
  ["-V"] = "version" }

local FULL_ADVICE <const> = "make room there, with `orch gc` for instance; what is on record stays, "
  .. "and `orch resume` goes on from it"

-- Each line of what others may have written, with nothing in it that a terminal obeys.
local function add_lines(lines, text, first, others)
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    lines[#lines + 1] = first .. term.printable((line:gsub("\r+$", "")))
    first = others
  end
end

-- What the message says is not said again.
local function place_of(failure)
  local place = {}
  local named = failure.step and failure.message:sub(1, #failure.step + 2) == failure.step .. ": "
  if failure.step and not named then place[#place + 1] = ("step \"%s\""):format(failure.step) end
  if failure.job then place[#place + 1] = ("job %s"):format(failure.job) end
  if failure.where then
    place[#place + 1] = failure.where
      .. (failure.within and (" (in %s)"):format(failure.within) or "")
  end
  return place[1] and table.concat(place, ", ")
end

-- A command that speaks of itself needs no name before it; where it was is told after it.
local function first_line(failure)
  local message, where = failure.message, failure.where
  if where and message:sub(1, #where + 2) == where .. ": " then
    message = message:sub(#where + 3)
  end
  return message, message:find("^orch %l") and "" or "orch: "
end

--- For people. What the reporter has shown of the step's output is not shown again.
local function print_error(failure, debugging)
  local lines, place = {}, place_of(failure)
  local message, name = first_line(failure)
  add_lines(lines, message, name, "  ")
  if failure.detail and failure.detail ~= "" and not failure.shown then
    add_lines(lines, failure.detail, "  | ", "  | ")
  end
  if place then add_lines(lines, place, "  at: ", "  ") end
  if failure.hint then add_lines(lines, failure.hint, "  try: ", "  ") end
  if debugging and failure.traceback then add_lines(lines, failure.traceback, "", "") end
  io.stderr:write(table.concat(lines, "\n"), "\n")
end

local SHOWN_AS_JSON <const> = { "kind", "message", "op", "code", "status", "step", "job", "where",
  "within", "hint", "detail" }

--- For programs: one line {"error": {…}}.
local function print_json(failure, debugging, code)
  local shown = { exit_code = code, hold = failure.hold or nil,
    traceback = debugging and failure.traceback or nil }
  for _, key in ipairs(SHOWN_AS_JSON) do
    local value = failure[key]
    if type(value) == "string" or math.type(value) == "integer" then shown[key] = value end
  end
  io.stderr:write(require "orch.json".encode({ error = shown }), "\n")
end

local function exit_code(failure)
  if failure.kind == "cancelled" and math.type(failure.code) == "integer" then
    return 128 + failure.code
  end
  return error_value.exit_code(failure.kind)
end

-- Whatever it was that could not be written.
local function is_full(failure)
  return failure.kind == "io" and (failure.message:find("No space left on device", 1, true)
    or failure.message:find("disk is full", 1, true))
end

local function fail(failure, debugging, as_json)
  local code = exit_code(failure)
  if not failure.hint and is_full(failure) then failure.hint = FULL_ADVICE end
  require "orch.syntax".explain(failure)
  if as_json then print_json(failure, debugging, code) else print_error(failure, debugging) end
  return code
end

-- What follows them is not for this program.
local FOREIGN <const> = { lua = true, completion = true }

-- Nor what follows --.
local function before_dashes(args)
  local own = {}
  for i, each in ipairs(args) do
    if each == "--" then break end
    own[i] = each
  end
  return own
end

-- --debug may stand anywhere before the command's own arguments end.
local function take_debug(args)
  local rest, debugging = {}, os.getenv("ORCH_DEBUG") ~= nil
  local own = #before_dashes(args)
  for i, each in ipairs(args) do
    if i <= own and each == "--debug" and not FOREIGN[rest[1]] then
      debugging = true
    else
      rest[#rest + 1] = each
    end
  end
  return rest, debugging
end

-- Did the person ask for JSON? Then errors are JSON too, those of wrong calls as well.
local function wants_json(args)
  for i, each in ipairs(args) do
    if each == "--json" or each == "--format=json" or each == "--format"
      and args[i + 1] == "json" then
      return true
    end
  end
  return false
end

-- `orch run RECIPE --help` is the recipe's own; a Lua file has its own, too.
local function asks_for_help(name, rest)
  if name == "lua" or name == "run" then return false end
  if FOREIGN[name] then rest = { rest[1] } end
  return nearest.contains(rest, "--help") or nearest.contains(rest, "-h")
end

--- The program.
---@param args string[]
---@return integer exit code
local function main(args)
  local rest, debugging = take_debug(args)
  local name = table.remove(rest, 1) or "help"
  name = SHORT[name] or name
  local own = before_dashes(rest)
  local as_json = not FOREIGN[name] and wants_json(own)
  if not nearest.contains(COMMANDS, name) then
    return fail({ kind = "usage",
      message = ("there is no command '%s'%s"):format(name, nearest.hint(name, COMMANDS, true)) },
      debugging, as_json)
  end
  if asks_for_help(name, own) then name, rest = "help", { name } end
  local good, result, failure = xpcall(function()
    local code, problem = require("orch.cli." .. name).main(rest, debugging)
    local written, unwritten = term.flush() -- half a list is not taken for whole
    if problem or written then return code, problem end
    return nil, unwritten
  end, error_value.on_error)
  if good and not failure then return result or 0 end
  return fail(failure or result, debugging, as_json)
end

return { main = main, commands = COMMANDS }
