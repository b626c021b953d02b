-- What a recipe finds without a require: Lua's own library, without what would pass around the job.
local error_value = require "orch.error"
local join = require "orch.join"
local nearest = require "orch.nearest"
local unknown = require "orch.unknown"
local verb = require "orch.verb"

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
  local hint = verb.is_built_in(name) and ("it is the job's: job:%s { … }"):format(name)
  error(error_value.new { kind = "usage",
    message = ("there is no global '%s'%s"):format(tostring(name),
      near and not hint and ("; did you mean '%s'?"):format(near) or ""),
    hint = hint or not near and LOCAL_ADVICE or nil }, 0)
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

--- For a plan, whose values may be unknown.
---@param environment table
local function take_unknowns(environment)
  for _, each in ipairs { environment.string, environment.math } do
    for name, f in pairs(each) do each[name] = unknown.tolerant(name, f) end
  end
  for _, name in ipairs { "tonumber", "type" } do
    environment[name] = unknown.tolerant(name, environment[name])
  end
  environment.tostring = function(value) return unknown.is(value) and value or tostring(value) end
end

-- A plan has a string.format of its own. What it raises is the caller's mistake, at the caller's
-- line.
local function format(...)
  local good, text = pcall(string.format, ...)
  if good then return text end
  error((text:gsub("^%S*lua/orch/%S+%.lua:%d+: ", ""):gsub("to '[^']*' %(", "to 'format' (", 1)), 2)
end

--- The globals of one recipe.
---@param said table see orch.words
---@param search string where its modules are, as package.path says it
---@return table
local function new(said, search)
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
  environment.package = { path = search }
  environment.table.concat = join
  environment.string.format = format
  environment.pairs = sorted_pairs
  environment.ipairs = finite_ipairs
  environment.next = known_next
  environment._G = environment
  return setmetatable(environment, { __newindex = refuse_global, __index = unknown_global })
end

return { new = new, take_unknowns = take_unknowns, sorted_pairs = sorted_pairs }
