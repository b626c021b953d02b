-- The engine's modules as recipes and their verbs have them: nobody changes them for others, and a
-- body does not reach around its job, whose steps may be in a container, and of which plan, record
-- and resume must know.
local error_value = require "orch.error"
local scope = require "orch.scope"
local strict = require "orch.strict".strict
local task = require "orch.task"

-- What touches the world; of each, the functions that do not.
local PRIMITIVES <const> = {
  ["orch.db"] = {}, ["orch.http"] = {}, ["orch.proc"] = {}, ["orch.repo"] = {},
  ["orch.session"] = {},
  ["orch.spool"] = {}, ["orch.term"] = { printable = true }, ["orch.tar"] = { ignore = true },
  ["orch.fs"] = { join = true, matches = true },
}

local INSTEAD <const> = { ["orch.proc"] = "job:run { … }", ["orch.http"] = "job:http { … }",
  ["orch.repo"] = "job:checkout { … }", ["orch.fs"] = "job:read, job:write or job:run",
  ["orch.tar"] = "job:persist_to_workspace and job:attach_workspace" }

-- the tasks that load a file, and how many within each other
local loading = setmetatable({}, { __mode = "k" })

-- Is the running task in a job, and in no step of a verb?
local function in_body()
  local place = scope.current()
  if not place or loading[task.current()] then return false end
  while place.kind ~= "job" do
    if place.step and place.step.verb ~= "group" then return false end
    place = place.parent
  end
  return true
end

--- Calls f, in which primitives can be used: what a file does while it is loaded, and a verb's
--- plan.
local function outside_body(f, ...)
  local loader = task.current()
  loading[loader] = (loading[loader] or 0) + 1
  local function leave(good, ...)
    loading[loader] = loading[loader] > 1 and loading[loader] - 1 or nil
    if not good then error((...), 0) end
    return ...
  end
  return leave(xpcall(f, error_value.on_error, ...))
end

local function guarded(name, key, f)
  return function(...)
    if in_body() then
      local short = name:gsub("^orch%.", "") .. "." .. key
      error(error_value.new { kind = "usage",
        message =
          ("%s: a body does nothing past its job, which plan, record and resume would not know of"):format(short),
        hint = ("use %s, or do it in a verb of your own: orch new verb NAME"):format(INSTEAD[name]
          or "the job's verbs") }, 0)
    end
    return f(...)
  end
end

-- A view of a table, to be read only.
local function view(name, values)
  return setmetatable({}, { __index = values, __pairs = function() return pairs(values) end,
    __newindex = function(_, key)
      error(("%s.%s cannot be changed"):format(name, tostring(key)), 2)
    end })
end

local views = {}

--- The module of that name, for a recipe.
---@param name string "orch" or "orch.…"
local function module(name)
  if views[name] then return views[name] end
  local real, values = require(name), {}
  if type(real) ~= "table" or getmetatable(real) then return real end
  for key, value in pairs(real) do
    local guard = PRIMITIVES[name] and type(value) == "function" and not PRIMITIVES[name][key]
    values[key] = guard and guarded(name, key, value) or value
  end
  strict(values, "the module " .. name, nil,
    name == "orch" and "a recipe has its verbs from its job: job:%s { … }" or nil)
  views[name] = view(name, values)
  return views[name]
end

return { module = module, outside_body = outside_body }
