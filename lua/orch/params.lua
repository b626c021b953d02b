-- Parameters of a recipe: from the command line, a file, the environment, and the declared
-- defaults, in that order.
local error_value = require "orch.error"
local fs = require "orch.fs"
local json = require "orch.json"
local nearest = require "orch.nearest"
local options = require "orch.options"
local pipeline_values = require "orch.pipeline_values"

local PREFIX <const> = "ORCH_PARAM_"

-- Of a parameter that a body reads and that is not declared.
local ADVICE <const> = "declare it: orch.pipeline { params = { %s = \"string\" }, … }"

local function read_file(path)
  local values, failure = json.decode(assert(fs.read(path)))
  if type(values) == "table" and #values == 0 then return values end
  error(error_value.new { kind = "usage",
    message = ("%s: %s"):format(path,
      failure and failure.message or "expected an object of parameters") }, 0)
end

local function refuse_unknown(schema, name, from)
  if not schema.options[name] then
    options.usage("%s: unknown parameter '%s'%s", from, name,
      #schema.names > 0 and nearest.hint(name, schema.names) or "; the recipe declares none")
  end
end

local function refuse_missing(schema, values)
  local missing, first = {}, nil
  for _, name in ipairs(schema.names) do
    local option = schema.options[name]
    if values[name] == nil and not option.optional then
      first = first or name
      missing[#missing + 1] = ("'%s' (%s)"):format(name, option.type)
    end
  end
  if not first then return end
  error(error_value.new { kind = "usage",
    hint = ("give it: %s=VALUE; `orch run RECIPE --help` lists all"):format(first),
    message = ("the recipe needs the parameter%s %s"):format(#missing > 1 and "s" or "",
      table.concat(missing, ", ")) }, 0)
end

--- Values by name, checked; and those of job.pipeline that are given, by name without "pipeline.".
---@param schema table the pipeline's
---@param given table<string, string> NAME=VALUE of the command line
---@param file? string a JSON object
---@return table<string, any> values, table<string, any> of_pipeline
local function resolve(schema, given, file)
  local values, of_pipeline = {}, {}
  for _, name in ipairs(schema.names) do
    local text = os.getenv(PREFIX .. name:upper():gsub("-", "_"))
    if text then values[name] = schema:from_text("environment", name, text) end
  end
  for name, value in pairs(file and read_file(file) or {}) do
    if pipeline_values.is(name) then
      pipeline_values.note(of_pipeline, file, name, value, false)
    else
      refuse_unknown(schema, name, file)
      schema:check_value(file, schema.options[name], value)
      values[name] = value
    end
  end
  for name, text in pairs(given) do
    if pipeline_values.is(name) then
      pipeline_values.note(of_pipeline, "command line", name, text, true)
    else
      refuse_unknown(schema, name, "command line")
      values[name] = schema:from_text("command line", name, text)
    end
  end
  refuse_missing(schema, values)
  return schema:check("parameters", values), of_pipeline
end

local function text_of(value)
  if type(value) ~= "table" then return tostring(value) end
  return #value > 0 and table.concat(value, ",") or json.encode(value)
end

local function rules_of(option)
  local words = {}
  if option.enum then words[#words + 1] = "one of " .. table.concat(option.enum, ", ") end
  if option.min then words[#words + 1] = "at least " .. option.min end
  if option.max then words[#words + 1] = "at most " .. option.max end
  if option.pattern then words[#words + 1] = "like " .. option.pattern end
  if option.default ~= nil then words[#words + 1] = "default " .. text_of(option.default)
  else words[#words + 1] = option.optional and "optional" or "required" end
  return table.concat(words, "; ")
end

--- The same for programs: plain values, in the order of the names.
---@return table[]
local function list(schema)
  local described = {}
  for i, name in ipairs(schema.names) do
    local option = schema.options[name]
    described[i] = { name = name, type = option.type, doc = option.doc, default = option.default,
      min = option.min,
      enum = option.enum, max = option.max, pattern = option.pattern,
      required = not option.optional }
  end
  return described
end

--- Lines that tell what a recipe may be given.
---@return string[]
local function describe(schema)
  local lines = {}
  for _, name in ipairs(schema.names) do
    local option = schema.options[name]
    lines[#lines + 1] = ("  %-16s %-8s  %s%s"):format(name, option.type, rules_of(option),
      option.doc and "\n" .. (" "):rep(28) .. option.doc or "")
  end
  return lines
end

return { resolve = resolve, describe = describe, list = list, ADVICE = ADVICE }
