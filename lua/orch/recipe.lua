-- Loads recipes and user verbs: trusted code, in an environment without what would pass around the
-- job.
local engine = require "orch.engine"
local error_value = require "orch.error"
local fs = require "orch.fs"
local job = require "orch.job"
local join = require "orch.join"
local nearest = require "orch.nearest"
local pipeline = require "orch.pipeline"
local unknown = require "orch.unknown"
local verb = require "orch.verb"
local words = require "orch.words"

-- Two runs of a recipe must visit keys in the same order.
local function sorted_pairs(t)
  local mt = getmetatable(t)
  if mt and mt.__pairs then return mt.__pairs(t) end
  local keys = {}
  for key in next, t do keys[#keys + 1] = key end
  table.sort(keys, function(a, b)
    if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then return a < b end
    return type(a) == type(b) and tostring(a) < tostring(b) or type(a) < type(b)
  end)
  local at = 0
  return function()
    at = at + 1
    local key = keys[at]
    if key ~= nil then return key, t[key] end
  end, t, nil
end

-- An unknown value of a plan has an element for each index, and would never end.
local function finite_ipairs(t)
  unknown.refuse(t)
  return ipairs(t)
end

local function known_next(t, key)
  unknown.refuse(t)
  return next(t, key)
end

local function without(library, ...)
  local copy = {}
  for name, value in pairs(library) do copy[name] = value end
  for _, name in ipairs { ... } do copy[name] = nil end
  return copy
end

local function refuse_global(_, name)
  error(("assignment to global '%s': write `local %s = …`"):format(tostring(name), tostring(name)),
    2)
end

local MEANT <const> = { orch = "write at the top: local orch = require \"orch\"",
  job = "a body is given it: run = function(job) … end" }

local LOCAL_ADVICE <const> =
  "a local is known from its own line on, to the end of its block: is it set further down, or elsewhere?"

local function unknown_global(environment, name)
  if MEANT[name] then error(("there is no global '%s'; %s"):format(name, MEANT[name]), 2) end
  local names = {}
  for each in next, environment do
    if not each:find("^_") then names[#names + 1] = each end
  end
  table.sort(names)
  local near = nearest.find(tostring(name), names)
  error(error_value.new { kind = "usage",
    message = ("there is no global '%s'%s"):format(tostring(name),
      near and ("; did you mean '%s'?"):format(near) or ""),
    hint = not near and LOCAL_ADVICE or nil }, 0)
end

local function raise_load_error(path, text, message)
  error(error_value.new { kind = "usage", message = message,
    hint = require "orch.syntax".hint(path, text, message) }, 0)
end

-- Runs a file in the environment; its value is what it returns.
local function run_file(path, environment, files)
  local text, failure = fs.read(path)
  if not text then error(failure, 0) end
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

-- Modules of the engine come from the engine; others from beside the recipe, ORCH_PATH and the
-- installed Lua modules, and run in the recipe's environment.
local function make_require(environment, search, files)
  local loaded = {}
  return function(name)
    if name == "orch" or name:find("^orch%.") then return engine.module(name) end
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

-- What is left out says what to use instead.
local function pointing(library, name, instead)
  return setmetatable(library, { __index = function(_, key)
    if instead[key] then
      error(("a recipe has no %s.%s, which would pass around the job: %s"):format(name, key,
        instead[key]), 2)
    end
  end })
end

-- For a plan, whose values may be unknown.
local function take_unknowns(environment, files)
  for _, each in ipairs { environment.string, environment.math } do
    for name, f in pairs(each) do each[name] = unknown.tolerant(name, f) end
  end
  for _, name in ipairs { "tonumber", "type" } do
    environment[name] = unknown.tolerant(name, environment[name])
  end
  environment.tostring = function(value) return unknown.is(value) and value or tostring(value) end
  local decisions = require "orch.decisions"
  files.marked = decisions.marked
  rawset(environment, decisions.NAME, unknown.known)
end

-- A plan has a string.format of its own. What it raises is the caller's mistake, at the caller's
-- line.
local function format(...)
  local good, text = pcall(string.format, ...)
  if good then return text end
  error((text:gsub("^%S*lua/orch/%S+%.lua:%d+: ", ""):gsub("to '[^']*' %(", "to 'format' (", 1)), 2)
end

local function environment_for(dirs, said, files)
  local search = {}
  for _, dir in ipairs(dirs) do
    search[#search + 1] = dir .. "/?.lua"
    search[#search + 1] = dir .. "/?/init.lua"
  end
  search[#search + 1] = package.path
  local environment = without(_G, "dofile", "loadfile", "load", "arg")
  for _, name in ipairs { "coroutine", "math", "string", "table", "utf8" } do
    environment[name] = without(_G[name]) -- a recipe that changes one must not change the engine's
  end
  -- The rest of debug leads everywhere, also to the engine's string functions, as a string's
  -- metatable does.
  environment.debug = { traceback = debug.traceback, getinfo = debug.getinfo }
  environment.getmetatable = function(value)
    return type(value) ~= "string" and getmetatable(value) or nil
  end
  local library
  environment.print, library = said:functions(without(io, "popen", "read", "lines", "stdin"))
  library.lines = function(name, ...)
    return io.lines(assert(name, "io.lines needs the name of a file"), ...)
  end
  environment.io = pointing(library, "io",
    { stdin = "use job:ask { … }", read = "use job:ask { … }",
    popen = "use job:run { …, capture = true }" })
  environment.os = pointing(without(os, "execute", "exit"), "os",
    { execute = "use job:run { … }", exit = "use job:halt(), or orch.fail to fail" })
  environment.package = { path = table.concat(search, ";") }
  environment.table.concat = join
  environment.string.format = format
  environment.pairs = sorted_pairs
  environment.ipairs = finite_ipairs
  environment.next = known_next
  environment.require = make_require(environment, environment.package.path, files)
  environment._G = environment
  return setmetatable(environment, { __newindex = refuse_global, __index = unknown_global })
end

local function as_pipeline(value, path)
  if pipeline.is(value) then return value end
  if job.is_definition(value) then
    local good, made = pcall(pipeline.define, { value })
    if good then return made end
    if error_value.is(made) then made.where = made.where or value.where end
    error(made, 0)
  end
  error(error_value.new { kind = "usage",
    message = ("%s must return orch.pipeline { … } or a job, got %s"):format(path, type(value)),
    hint = "end the recipe with: return orch.pipeline { … }" }, 0)
end

-- The environment of a recipe, and the finder of the verbs that it sees.
local function surroundings(path, said, files)
  local dir = path:match("^(.*)/[^/]*$") or "."
  local dirs, verb_dirs = { dir }, { dir .. "/verbs" }
  for each in (os.getenv("ORCH_PATH") or ""):gmatch("[^:]+") do
    dirs[#dirs + 1] = each
    verb_dirs[#verb_dirs + 1] = each .. "/verbs"
    verb_dirs[#verb_dirs + 1] = each
  end
  local environment = environment_for(dirs, said, files)
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
  if not to_run then take_unknowns(environment, files) end
  local value = run_file(path, environment, files)
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

return { load = load_recipe, evaluate = evaluate, finder = finder, sorted_pairs = sorted_pairs }
