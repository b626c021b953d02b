-- Loads recipes and user verbs: trusted code, in an environment without what would pass around the
-- job.
local engine = require "orch.engine"
local error_value = require "orch.error"
local fs = require "orch.fs"
local globals = require "orch.globals"
local job = require "orch.job"
local nearest = require "orch.nearest"
local options = require "orch.options"
local pipeline = require "orch.pipeline"
local unknown = require "orch.unknown"
local verb = require "orch.verb"
local words = require "orch.words"

local function raise_load_error(path, text, message)
  error(error_value.new { kind = "usage", message = message,
    hint = require "orch.syntax".hint(path, text, message) }, 0)
end

local BINARY <const> = "\27Lua"

-- Runs a file in the environment; its value is what it returns.
local function run_file(path, environment, files)
  local text, failure = fs.read(path)
  if not text then error(failure, 0) end
  if text:sub(1, #BINARY) == BINARY then
    options.usage("%s is compiled Lua, which is not run: give its source", path)
  end
  local program = text:gsub("^#[^\n]*", "")
  local chunk, message = load(program, "@" .. path, "t", environment)
  if not chunk then raise_load_error(path, text, message) end
  if files.marked then
    chunk = load(files.marked(program), "@" .. path, "t", environment) or chunk
  end
  files:add(path, text)
  return engine.outside_body(chunk)
end

-- The files that a recipe is made of, as they are read. told(path, text): who keeps a record of
-- them; marked(text): what is run in place of one, for a plan.
local Files = {}
Files.__index = Files

function Files:add(path, text)
  if self.told then return self.told(path, text) end
  self[#self + 1] = { path = path, text = text }
end

--- Tells of those that have been read, and those that will be.
---@param told fun(path: string, text: string)
function Files:tell(told)
  self.told = told
  for _, each in ipairs(self) do told(each.path, each.text) end
end

local LOADING <const> = {}

local function not_found(name, search)
  local looked = {}
  for each in search:sub(1, -#package.path - 2):gmatch("[^;]+") do
    looked[#looked + 1] = each:gsub("%?", (name:gsub("%.", "/")))
  end
  error(error_value.new { kind = "usage",
    message = ("there is no module '%s'%s"):format(name,
      nearest.find(name, { "orch" }) and "; did you mean 'orch'?" or ""),
    hint =
      ("looked for in %s, and among the installed Lua modules; ORCH_PATH names more directories")
      :format(table.concat(looked, ", ")) }, 0)
end

local function module_of_ours(name)
  local good, value = pcall(engine.module, name)
  if good then return value end
  if not tostring(value):find("not found:", 1, true) then error(value, 0) end
  error(error_value.new { kind = "usage", message = ("there is no module '%s'"):format(name),
    hint = "modules of the name orch.… are the engine's own" }, 0)
end

-- Modules of the engine come from the engine; others from beside the recipe, ORCH_PATH and the
-- installed Lua modules, and run in the recipe's environment.
local function make_require(environment, search, files)
  local loaded = {}
  return function(name)
    if name == "orch" or name:find("^orch%.") then return module_of_ours(name) end
    if loaded[name] == LOADING then error(("module '%s' requires itself"):format(name), 2) end
    if loaded[name] == nil then
      local path = package.searchpath(name, search)
      if not path then not_found(name, search) end
      loaded[name] = LOADING
      local value = run_file(path, environment, files)
      loaded[name] = value == nil and true or value
    end
    return loaded[name]
  end
end

local MANY <const> = "several jobs are a pipeline: return orch.pipeline { build, test }"

local function refuse_value(path, got, hint)
  error(error_value.new { kind = "usage",
    message = ("%s must return orch.pipeline { … } or a job, got %s"):format(path, got),
    hint = hint or "end the recipe with: return orch.pipeline { … }" }, 0)
end

local function as_pipeline(value, path)
  if pipeline.is(value) then return value end
  if job.is_definition(value) then
    local good, made = pcall(pipeline.define, { value })
    if good then return made end
    if error_value.is(made) then made.where = made.where or value.where end
    error(made, 0)
  end
  if type(value) ~= "table" then
    local uncalled = type(value) == "function" and "call it: orch.job { … }, orch.pipeline { … }"
    refuse_value(path, value == nil and "nothing" or "a " .. type(value), uncalled)
  end
  local listed = job.is_definition(value[1])
  refuse_value(path, listed and "a list of jobs" or "a table", listed and MANY
    or "write orch.job or orch.pipeline before the table: return orch.job { … }")
end

local function module_patterns(dir) return ("%s/?.lua;%s/?/init.lua;"):format(dir, dir) end

-- The environment of a recipe, and the finder of the verbs that it sees.
local function surroundings(path, said, files)
  local dir = path:match("^(.*)/[^/]*$") or "."
  local search, verb_dirs = module_patterns(dir), { dir .. "/verbs" }
  for each in (os.getenv("ORCH_PATH") or ""):gmatch("[^:]+") do
    search = search .. module_patterns(each)
    verb_dirs[#verb_dirs + 1] = each .. "/verbs"
    verb_dirs[#verb_dirs + 1] = each
  end
  search = search .. package.path
  local environment = globals.new(said, search)
  environment.require = make_require(environment, search, files)
  return environment, verb.finder(verb_dirs, function(file)
    return run_file(file, environment, files)
  end)
end

local NEAR_MAX <const> = 8

-- What there is instead of a recipe that is not there.
local function near_recipes(path)
  local dir, name = path:match("^(.*)/([^/]*)$")
  local found = {}
  for _, each in ipairs(fs.list(dir or ".") or {}) do
    if each:find("%.lua$") then found[#found + 1] = each end
  end
  if #found == 0 then return "write one with: orch new recipe NAME" end
  local near = nearest.find(name or path, found)
  if near then return ("did you mean %s?"):format(dir and dir .. "/" .. near or near) end
  return ("in %s there %s %s%s"):format(dir or ".", #found == 1 and "is" or "are",
    table.concat(found, ", ", 1, math.min(#found, NEAR_MAX)), #found > NEAR_MAX and ", …" or "")
end

--- Loads a recipe.
---@param path string
---@param to_run? boolean what it prints waits for the run; else it goes to stderr
---@return { path: string, pipeline: table, verbs: table, words: table, files: table }
local function load_recipe(path, to_run)
  local stat, failure = fs.stat(path)
  if not stat then
    failure.message, failure.hint = ("there is no recipe %s"):format(path), near_recipes(path)
    error(failure, 0)
  end
  if stat.type == "directory" then
    error(error_value.new { kind = "usage",
      message = ("%s is a directory, not a recipe"):format(path),
      hint = near_recipes(path .. "/x") }, 0)
  end
  local said, files = words.new(to_run), setmetatable({}, Files)
  local environment, finder = surroundings(path, said, files)
  if not to_run then
    globals.take_unknowns(environment)
    local decisions = require "orch.decisions"
    files.marked = decisions.marked
    rawset(environment, decisions.NAME, unknown.known)
  end
  local value, another = run_file(path, environment, files)
  if another ~= nil then refuse_value(path, "several values", MANY) end
  return { path = path, pipeline = as_pipeline(value, path), verbs = finder, words = said,
    files = files }
end

--- What a file returns that is run as a recipe is: one of tests.
---@param path string
local function evaluate(path)
  local files = setmetatable({}, Files)
  return run_file(path, (surroundings(path, words.new(), files)), files)
end

--- The verbs that a recipe at that path would see; it need not be there.
local function finder(path)
  local _, found = surroundings(path, words.new(), setmetatable({}, Files))
  return found
end

return { load = load_recipe, near = near_recipes, evaluate = evaluate, finder = finder }
