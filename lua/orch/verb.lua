-- Verbs: what a job can do. A verb is a value, one per file; the built-in ones are nothing special.
local error_value = require "orch.error"
local fs = require "orch.fs"
local nearest = require "orch.nearest"
local options = require "orch.options"
local unknown = require "orch.unknown"

local Verb = {}
Verb.__index = Verb

local BUILT_IN <const> = { "ask", "attach_workspace", "checkout", "docker_build", "docker_login",
  "docker_pull", "docker_push", "ecr_ensure_repository", "ecr_login", "export_vars", "http",
  "image_exists",
  "image_inspect", "image_load", "image_remove", "image_retag", "image_save", "image_tag", "now",
  "persist_to_workspace",
  "random", "read", "restore_cache", "run", "save_cache", "setup_remote_docker", "sleep",
  "store_artifacts", "write" }

local descriptor = options.schema {
  options = { "table", default = {} },
  run = "function",
  positional = "string?",
  returns = "string?",
  advice = { "table", default = {} },
  title = "function?",
  again = "function?",
  replay = { "string", default = "answer", enum = { "answer", "again" } },
  external = { "boolean", default = false },
  plan = "function?",
  effects = "function?",
}

---@class orch.Verb
---@field schema table
---@field run fun(job: orch.Job, options: table): any
---@field replay "answer"|"again" what resume does with a finished one
---@field returns? string the type of its result as LuaLS writes it, for editors and `orch verbs`
---@field advice table<string, string> by option: what to write in place of one that there is not, or of another type
---@field again? fun(options: table): boolean of this call: is it done again on resume?
---@field title? fun(options: table): string the step's title when no name is given
---@field plan? fun(job: orch.Job, options: table): any what a plan knows of its result; default: nothing
---@field effects? fun(options: table): table { build, push: tags; persist: paths, root }, for plan and check
---@field external boolean has effects outside this machine

--- Makes a verb of its description.
---@param description { options: table<string, string|table>, run: function, positional?: string, returns?: string, advice?: table<string, string>, replay?: string, external?: boolean, plan?: function }
---@return orch.Verb
local function define(description)
  local checked = descriptor:check("orch.verb", description)
  -- What every step can be given: its title, seconds, and whether it is put off until the body has
  -- ended.
  local declared = { name = "string?", timeout = "number|string?",
    when = { "string", default = "on_success", enum = { "always", "on_fail", "on_success" } } }
  for name, value in pairs(checked.options) do
    if type(name) ~= "string" or not name:find("^[%a_][%w_]*$") then
      options.usage("orch.verb: an option is declared as NAME = TYPE, its name of letters, digits and _: got %s",
        type(name) == "string" and ("%q"):format(name) or "a " .. type(name))
    end
    declared[name] = value
  end
  checked.schema = options.schema(declared, checked.positional, checked.advice)
  return setmetatable(checked, Verb)
end

local function is(value) return getmetatable(value) == Verb end

local function is_built_in(name) return nearest.contains(BUILT_IN, name) end

--- The value of an option "string|list" as a list.
---@param value any
---@return table
local function list(value)
  if type(value) == "table" and not unknown.is(value) then return value end
  return { value }
end

local Finder = {}
Finder.__index = Finder

--- Looks verbs up: beside the recipe, on ORCH_PATH, among the built-in and the installed ones.
---@param dirs string[] directories that hold NAME.lua
---@param load_file fun(path: string): any runs a verb's file as a recipe is run
local function finder(dirs, load_file)
  return setmetatable({ dirs = dirs, load_file = load_file, found = {} }, Finder)
end

local function checked_verb(value, name, path)
  if is(value) then return value end
  error(error_value.new { kind = "usage",
    message = ("verb '%s': %s must return orch.verb { … }, got %s"):format(name, path,
      type(value)) }, 0)
end

--- The file that defines a verb that is not built in, or nil.
function Finder:path(name)
  for _, dir in ipairs(self.dirs) do
    local path = ("%s/%s.lua"):format(dir, name)
    if fs.stat(path) then return path end
  end
  if is_built_in(name) then return nil end
  return (package.searchpath("orch_verbs." .. name, package.path))
end

function Finder:search(name)
  local path = self:path(name)
  if path then return checked_verb(self.load_file(path), name, path) end
  return is_built_in(name) and require("orch.verbs." .. name)
end

--- The verb of that name, or nil.
---@return orch.Verb?
function Finder:find(name)
  if self.found[name] == nil then self.found[name] = self:search(name) or false end
  return self.found[name] or nil
end

-- A directory of ORCH_PATH holds modules too.
local function defines_verb(path)
  local text = fs.read(path)
  return text ~= nil and (text:find("%.verb%f[^%w_]")) ~= nil
end

--- The names of all verbs that can be found in a directory, and the built-in ones.
function Finder:names()
  local names, seen = {}, {}
  local function add(name)
    if not seen[name] then names[#names + 1] = name end
    seen[name] = true
  end
  for _, name in ipairs(BUILT_IN) do add(name) end
  for _, dir in ipairs(self.dirs) do
    for _, file in ipairs(fs.list(dir) or {}) do
      local name = file:match("^([%a_][%w_]*)%.lua$")
      if name and (dir:find("/verbs$") or defines_verb(dir .. "/" .. file)) then add(name) end
    end
  end
  table.sort(names)
  return names
end

--- Raises for a name that is no verb: where it was looked for, and what is near.
---@param others? string[] what else could have been meant
function Finder:missing(name, others)
  local looked = { "the built-in verbs" }
  for _, dir in ipairs(self.dirs) do looked[#looked + 1] = ("%s/%s.lua"):format(dir, name) end
  local known = self:names()
  table.move(others or {}, 1, #(others or {}), #known + 1, known)
  local near = nearest.find(name, known, true)
  error(error_value.new { kind = "usage",
    message = ("there is no verb '%s'%s"):format(name,
      near and ("; did you mean '%s'?"):format(near) or ""),
    hint = "looked for in " .. table.concat(looked, ", ") .. "; `orch verbs` lists all" }, 0)
end

return { define = define, is = is, is_built_in = is_built_in, list = list, finder = finder }
