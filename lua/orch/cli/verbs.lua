-- orch verbs [NAME] [--recipe RECIPE] [--stub | --json]: what a job can do
local args = require "orch.cli.args"
local fs = require "orch.fs"
local json = require "orch.json"
local library = require "orch.library"
local recipe = require "orch.recipe"
local say = require "orch.cli.say"
local shape = require "orch.shape"
local stub = require "orch.stub"
local is_built_in = require("orch.verb").is_built_in

-- The help text of a verb is the first comment line of its file.
local function doc_of(finder, name)
  local path = finder:path(name)
  if not path then return library.doc("orch.verbs." .. name) or "" end
  return (fs.read(path) or ""):match("^%-%- ([^\n]*)") or ""
end

local function default_text(option)
  if option.default == nil then return option.optional and "optional" or "required" end
  local value = option.default
  if type(value) == "table" then return next(value) and "default: a table" or "default: {}" end
  return ("default: %s"):format(type(value) == "string" and ("%q"):format(value) or tostring(value))
end

local function print_list(finder)
  local names = finder:names()
  local width = 0
  for _, name in ipairs(names) do width = math.max(width, #name) end
  for _, name in ipairs(names) do
    say(("%-" .. width .. "s  %s"):format(name, doc_of(finder, name)))
  end
end

local COMMON <const> = { name = "the step's title", timeout = "seconds",
  when = "later than on_success: once the body has ended" }

local function widths(schema)
  local names, types = 0, 0
  for name, option in pairs(schema.options) do
    names, types = math.max(names, #name), math.max(types, #option.type)
  end
  return names, types
end

local function print_one(finder, name)
  local verb = finder:find(name) or finder:missing(name)
  say(("%s: %s\n"):format(name, doc_of(finder, name)))
  local schema = verb.schema
  local names, types = widths(schema)
  for _, each in ipairs(schema.names) do
    local option = schema.options[each]
    say(("  %-" .. names .. "s  %-" .. types .. "s  %s%s%s"):format(each, option.type,
      default_text(option), option.enum and (", one of " .. table.concat(option.enum, ", ")) or "",
      COMMON[each] and "; " .. COMMON[each] or option.doc and "; " .. option.doc or ""))
  end
  say("\n" .. (schema.positional
    and ("job:%s(x) stands for job:%s { %s = x }."):format(name, name, schema.positional)
    or #schema.required > 0 and shape.call("job:" .. name, schema, {}) or ("job:%s()"):format(name)))
  if verb.returns then say("It returns " .. verb.returns .. ".") end
  print(("On resume it is %s.%s"):format(verb.replay == "again" and "done again"
    or "answered from the record",
    verb.external and " It has effects outside this machine." or ""))
  local path = finder:path(name)
  say(("Defined in %s%s."):format(path or "orch itself",
    path and is_built_in(name) and ", in place of orch's own" or ""))
end

local function described(finder, name)
  local verb, shown = finder:find(name) or finder:missing(name), json.array {}
  for i, each in ipairs(verb.schema.names) do
    local option = verb.schema.options[each]
    shown[i] = { name = each, type = option.type, default = option.default, enum = option.enum,
      doc = option.doc or COMMON[each],
      required = not option.optional }
  end
  return { name = name, doc = doc_of(finder, name), options = shown,
    positional = verb.schema.positional,
    replay = verb.replay, external = verb.external, file = finder:path(name) }
end

local function print_json(finder, name)
  local list = json.array {}
  for i, each in ipairs(name and {} or finder:names()) do list[i] = described(finder, each) end
  print(json.encode(name and described(finder, name) or list, { pretty = true }))
end

local SPEC <const> = { command = "verbs", positional = { "name" },
  flags = { recipe = "string", stub = "boolean", json = "boolean" } }

local function main(given)
  local parsed = args.parse(SPEC, given)
  local finder = recipe.finder(parsed.recipe or "./recipe.lua")
  if parsed.json then
    print_json(finder, parsed.name)
  elseif parsed.stub then
    say((stub.write(finder, function(name) return doc_of(finder, name) end):gsub("\n$", "")))
  elseif parsed.name then
    print_one(finder, parsed.name)
  else
    print_list(finder)
  end
  return 0
end

return { main = main, spec = SPEC }
