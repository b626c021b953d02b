-- orch completion bash|zsh|fish: what makes a shell complete orch's words
local args = require "orch.cli.args"
local cli = require "orch.cli"
local nearest = require "orch.nearest"
local options = require "orch.options"
local project = require "orch.project"
local recipe = require "orch.recipe"
local state = require "orch.state"

-- Each asks `orch completion words` and lets files be named where that knows none.
local SCRIPTS <const> = {
  bash = [[
_orch() {
  local IFS=$'\n'
  COMPREPLY=($(orch completion words "${COMP_WORDS[@]:1:COMP_CWORD}" 2> /dev/null))
  [ ${#COMPREPLY[@]} -gt 0 ] || compopt -o default
}
complete -F _orch orch
]],
  zsh = [[
#compdef orch
_orch() {
  local -a known
  known=(${(f)"$(orch completion words "${(@)words[2,CURRENT]}" 2> /dev/null)"})
  if (( $#known )); then compadd -- $known; else _files; fi
}
compdef _orch orch
]],
  fish = [[
complete -c orch -a '(orch completion words (commandline -opc)[2..-1] (commandline -ct) 2> /dev/null)'
]],
}

local VALUES <const> = { format = { "plain", "json", "tty" }, on_fail = { "shell" } }
local RUNS <const> = "SELECT number FROM runs ORDER BY number DESC LIMIT 50"

-- The project's runs, the newest first. Looking makes no record, and no recipe is loaded: that
-- would run what lies in a directory that somebody only looks at.
local function runs()
  local here = project.find()
  local begun = state.begin(here)
  if not begun then return {} end
  local opened, numbers = state.open(here, begun), {}
  for i, row in ipairs(opened:rows(RUNS)) do numbers[i] = tostring(row.number) end
  opened:close()
  return numbers
end

-- The jobs of the run that the first word names.
local function jobs(words)
  local here = project.find()
  local begun = state.begin(here)
  if not begun then return {} end
  local opened, names = state.open(here, begun), {}
  local number = math.tointeger(tonumber(words[1])) or 0
  for i, row in ipairs(opened:rows("SELECT name FROM jobs WHERE run = ? ORDER BY name LIMIT 50",
    number)) do
    names[i] = row.name
  end
  opened:close()
  return names
end

local POSITIONAL <const> = {
  run = runs,
  job = jobs,
  name = function() return recipe.finder("./recipe.lua"):names() end,
}

-- What may stand at the last of the words that follow a command.
local function arguments(spec, words)
  local last, at, wants = words[#words], 1, nil -- wants: the flag whose value comes next
  for i = 1, #words - 1 do
    if not wants and words[i]:sub(1, 1) ~= "-" then at = at + 1 end
    wants = not wants and args.flag_before_value(spec, words[i]) or nil
  end
  if wants then return VALUES[wants] or {} end
  if last:sub(1, 1) == "-" then
    local flags = args.flag_names(spec.flags)
    table.insert(flags, "--debug") -- which every command takes
    table.sort(flags)
    return flags
  end
  local known = POSITIONAL[spec.positional[at]]
  return known and known(words) or {}
end

local OTHERS <const> = {
  help = function() return cli.commands end,
  new = function(words) return #words == 1 and { "recipe", "verb", "test" } or {} end,
  completion = function(words) return #words == 1 and { "bash", "zsh", "fish" } or {} end,
}

local function candidates(words)
  if #words <= 1 then return cli.commands end
  local command = table.remove(words, 1)
  if OTHERS[command] then return OTHERS[command](words) end
  local spec = nearest.contains(cli.commands, command) and require("orch.cli." .. command).spec
  return spec and arguments(spec, words) or {}
end

local function print_words(words)
  local last = words[#words] or ""
  for _, each in ipairs(candidates(words)) do
    if each:sub(1, #last) == last then print(each) end
  end
  return 0
end

local function main(given)
  local shell = given[1]
  if shell == "words" then return print_words(table.move(given, 2, #given, 1, {})) end
  if not SCRIPTS[shell] or given[2] then
    options.usage("orch completion: for which shell? (bash, zsh or fish)")
  end
  io.write(SCRIPTS[shell])
  return 0
end

return { main = main }
