-- Where a job's secrets come from: the environment of orch, a file, a file of variables, a
-- command's output.
--
-- secrets = { "A", "B?", C = { file = "/run/secrets/c" }, D = { command = { "pass", "show", "d" }
-- },
--   E = { env_file = ".env" }, F = { env = "OTHER_NAME" } }; "B?" and optional = true may be
--   absent.
local error_value = require "orch.error"
local fs = require "orch.fs"
local options = require "orch.options"
local proc = require "orch.proc"
local secret = require "orch.secret"

local VALUE_MAX <const> = 1024 * 1024 -- bytes
local COMMAND_SECONDS <const> = 60

local SOURCES <const> = { "command", "env", "env_file", "file" }

local source_schema = options.schema {
  file = "string?",
  env = "string?",
  env_file = "string?",
  key = "string?",      -- in env_file; default: the secret's name
  command = "list?",
  optional = { "boolean", default = false },
}

local function check_name(job, name)
  if type(name) == "string" and name:match("^[%a_][%w_]*$") then return end
  options.usage("job '%s': secret '%s' is no name of a variable", job, tostring(name))
end

local function from_environment(job, declared)
  local name, optional = tostring(declared):match("^(.-)(%??)$")
  check_name(job, name)
  return { name = name, optional = optional == "?", env = name }
end

local function from_source(job, name, given)
  check_name(job, name)
  local what = ("job '%s': secret '%s'"):format(job, name)
  local source, count = source_schema:check(what, given), 0
  for _, each in ipairs(SOURCES) do count = count + (source[each] and 1 or 0) end
  if count ~= 1 then options.usage("%s needs one of %s", what, table.concat(SOURCES, ", ")) end
  source.name = name
  return source
end

--- Checks what a job declares: the list part first, in its order, then the others by name.
---@param job string
---@param given table
---@return { name: string, optional: boolean }[]
local function declared(job, given)
  local list, names, seen = {}, {}, {}
  for key, value in pairs(given) do
    if math.type(key) ~= "integer" then names[#names + 1] = key end
    if math.type(key) == "integer" and key > #given then
      options.usage("job '%s': the list of secrets has holes", job)
    end
    if type(key) ~= "string" and math.type(key) ~= "integer" then check_name(job, key) end
    if type(value) ~= "string" and math.type(key) == "integer" then check_name(job, value) end
  end
  table.sort(names)
  for i, value in ipairs(given) do list[i] = from_environment(job, value) end
  for _, name in ipairs(names) do list[#list + 1] = from_source(job, name, given[name]) end
  for _, each in ipairs(list) do
    if seen[each.name] then
      options.usage("job '%s' declares the secret '%s' twice", job, each.name)
    end
    seen[each.name] = true
  end
  return list
end

local function at(dir, path)
  if path:find("^~/") and os.getenv("HOME") then return os.getenv("HOME") .. path:sub(2) end
  return fs.join(dir, path)
end

-- What an editor or a program puts at the end.
local function without_newline(text) return (text:gsub("\r?\n$", "")) end

-- Each gives the text, or nil and why not.
local readers = {}

function readers.env(source)
  return os.getenv(source.env), "it is not in the environment of orch"
end

function readers.file(source, dir)
  local text, failure = fs.read(at(dir, source.file), VALUE_MAX)
  if not text then return nil, failure.message end
  return without_newline(text)
end

function readers.env_file(source, dir)
  local path = at(dir, source.env_file)
  local text, failure = fs.read(path, VALUE_MAX)
  if not text then return nil, failure.message end
  local set = require "orch.env_file".parse(text, path)
  return set[source.key or source.name], path .. " does not set it"
end

function readers.command(source, dir)
  local result, failure = proc.run { argv = source.command, cwd = dir, split = true,
    timeout = COMMAND_SECONDS }
  if not result then return nil, failure.message end
  if result.code == 0 then return without_newline(result.stdout), "its command printed nothing" end
  local said = result.stderr:match("([^\n]*)\n*$")
  return nil,
    ("%s: exit code %d%s"):format(source.command[1], result.code, said ~= "" and ": " .. said or "")
end

--- In words, for people.
---@param source table
local function origin(source)
  if source.command then return "command " .. tostring(source.command[1]) end
  if source.file then return "file " .. source.file end
  if source.env_file then return "file " .. source.env_file end
  return "environment"
end

local function read_one(source, dir)
  for _, each in ipairs(SOURCES) do
    if source[each] then return readers[each](source, dir) end
  end
end

local function refuse_missing(job, missing)
  local names, reasons, all_env = {}, {}, true
  for i, each in ipairs(missing) do
    names[i] = each.source.name
    all_env = all_env and each.source.env ~= nil
    reasons[i] = ("%s: %s"):format(each.source.name, each.reason)
  end
  local several = #missing > 1
  error(error_value.new { kind = "auth",
    message = ("job '%s' needs the secret%s %s%s"):format(job, several and "s" or "",
      table.concat(names, ", "),
      all_env and "" or " (" .. table.concat(reasons, "; ") .. ")"),
    hint = all_env and ("set %s in the environment of orch"):format(several and "them" or "it")
      or nil }, 0)
end

--- Those of the environment that are needed and not there, which is known before anything runs.
---@return string[] names
local function absent(list)
  local names = {}
  for _, each in ipairs(list) do
    if each.env and not each.optional and (os.getenv(each.env) or "") == "" then
      names[#names + 1] = each.name
    end
  end
  return names
end

--- The values by name; raises kind auth when one is missing.
---@param job string
---@param list table[] as `declared` gives it
---@param dir string that relative paths and commands begin at: the project's
---@param masker orch.Masker that learns them
---@param warn fun(message: string) of a value too short to be hidden
---@return table<string, orch.Secret>
local function read(job, list, dir, masker, warn)
  local values, missing = {}, {}
  for _, source in ipairs(list) do
    local text, reason = read_one(source, dir)
    if text and text ~= "" then
      values[source.name] = secret.new(text, source.name)
      if not masker:add(values[source.name]) then
        warn(("the secret %s is too short to be hidden: it will show in what is printed"):format(source.name))
      end
    elseif not source.optional then
      missing[#missing + 1] = { source = source, reason = reason }
    end
  end
  if #missing > 0 then refuse_missing(job, missing) end
  return values
end

--- The variables that no step inherits: those that they are named after, and those that they are
--- read from.
---@return string[]
local function hidden(list)
  local names = {}
  for _, each in ipairs(list) do
    names[#names + 1] = each.name
    if each.env and each.env ~= each.name then names[#names + 1] = each.env end
  end
  return names
end

return { declared = declared, absent = absent, read = read, hidden = hidden, origin = origin }
