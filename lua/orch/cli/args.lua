-- Reads a command's arguments by what the command declares.
local error_value = require "orch.error"
local nearest = require "orch.nearest"
local options = require "orch.options"

--- Sorted, as they are written.
---@return string[]
local function flag_names(flags)
  local names = {}
  for name in pairs(flags) do names[#names + 1] = "--" .. name:gsub("_", "-") end
  table.sort(names)
  return names
end

local function convert(command, flag, kind, text)
  if kind ~= "integer" then return text end
  local value = math.tointeger(tonumber(text))
  if not value or value < 0 then
    options.usage("orch %s: %s takes a whole number%s, got '%s'", command, flag,
      value and " that is not negative" or "", text)
  end
  return value
end

-- A word as a flag: its key and kind, if it is one, how it is called, what is attached to it, its
-- letter.
local function flag_in(spec, word)
  local name, inline = word:match("^%-%-([%w-]+)=?(.*)$")
  local letter, attached = word:match("^%-(%a)(.*)$")
  if letter and spec.short then name, inline = spec.short[letter], attached end
  local key = name and name:gsub("-", "_")
  return key, key and spec.flags[key], name, inline, letter, attached
end

--- The flag whose value is the word after this one, by its key; nil when there is none.
---@param word string
---@return string?
local function flag_before_value(spec, word)
  local key, kind, _, inline = flag_in(spec, word)
  return kind and kind ~= "boolean" and inline == "" and not word:find("=", 1, true) and key or nil
end

local function refuse_flag(spec, word)
  local value = spec.pairs and word:match("^%-%-([%a_][%w_.-]*=.*)$")
  local hint = value and "a parameter is given without dashes: " .. value
  if word == "--dry-run" then hint = "`orch plan RECIPE` shows what a run would do" end
  error(error_value.new { kind = "usage", hint = hint or nil,
    message = ("orch %s: unknown option '%s'%s"):format(spec.command, word,
      nearest.hint(word, flag_names(spec.flags))) }, 0)
end

local function take_flag(spec, parsed, args, i)
  local key, kind, name, inline, letter, attached = flag_in(spec, args[i])
  if letter and attached ~= "" and kind == "boolean" then kind = nil end
  if not kind then
    refuse_flag(spec, args[i])
  end
  if kind == "boolean" then
    if args[i]:find("=", 1, true) then
      options.usage("orch %s: --%s takes no value", spec.command, name)
    end
    parsed[key] = true
    return i
  end
  local has_inline = letter and attached ~= "" or args[i]:find("=", 1, true)
  local text = has_inline and inline or args[i + 1]
  if not text then options.usage("orch %s: %s needs a value", spec.command, args[i]) end
  if kind == "list" then
    parsed[key] = parsed[key] or {}
    table.insert(parsed[key], text)
  else
    parsed[key] = convert(spec.command, args[i], kind, text)
  end
  return has_inline and i or i + 1
end

--- spec: { command, flags = { name = "boolean"|"string"|"integer"|"list" }, short = { j = "jobs" },
--- positional = { names }, pairs = true for NAME=VALUE, rest = true for all that is no flag }. The
--- result has the flags by name, the positional ones, and pairs in .pairs.
---@return table
local function parse(spec, args)
  local parsed, at, i = { pairs = {}, rest = {} }, 0, 1
  while i <= #args do
    local name, value = args[i]:match("^([%a_][%w_.-]*)=(.*)$")
    if args[i]:find("^%-.") then
      i = take_flag(spec, parsed, args, i)
    elseif spec.pairs and name and at > 0 then
      parsed.pairs[name] = value
    elseif spec.rest then
      table.insert(parsed.rest, args[i])
    elseif spec.positional[at + 1] then
      at = at + 1
      parsed[spec.positional[at]] = args[i]
    else
      options.usage("orch %s: unexpected '%s'%s; see `orch help %s`", spec.command, args[i],
        spec.pairs and ": parameters are given as NAME=VALUE" or "", spec.command)
    end
    i = i + 1
  end
  return parsed
end

--- NAME=VALUE texts of a repeated flag as a map.
local function pairs_of(command, flag, list)
  local map = {}
  for _, each in ipairs(list or {}) do
    local name, value = each:match("^([^=]+)=(.*)$")
    if not name then
      options.usage("orch %s: %s takes NAME=VALUE, got '%s'", command, flag, each)
    end
    map[name] = value
  end
  return map
end

--- The recipe that a command was given.
local function recipe_of(parsed, command)
  if parsed.recipe then return parsed.recipe end
  error(error_value.new { kind = "usage", hint = require "orch.recipe".near(""),
    message = ("orch %s: which recipe? (orch %s RECIPE)"):format(command, command) }, 0)
end

--- A run's number from a text, or nil.
local function run_number(command, text)
  if not text then return nil end
  local number = math.tointeger(tonumber(text))
  if not number then options.usage("orch %s: '%s' is no number of a run; `orch runs` lists them", command, text) end
  return number
end

return { parse = parse, flag_names = flag_names, flag_before_value = flag_before_value,
  run_number = run_number, recipe_of = recipe_of, pairs_of = pairs_of }
