-- orch run RECIPE [--job NAME]… [--project DIR] [NAME=VALUE]…
local options = require "orch.options"
local plain = require "orch.ui.plain"
local project = require "orch.project"
local recipe = require "orch.recipe"
local run = require "orch.run"

local function value_after(args, i, flag)
  local inline = args[i]:match("^" .. flag:gsub("%-", "%%-") .. "=(.*)$")
  if inline then return inline, i end
  if not args[i + 1] then options.usage("orch run: %s needs a value", flag) end
  return args[i + 1], i + 1
end

local function parse(args)
  local parsed, i = { jobs = {}, params = {} }, 1
  while i <= #args do
    local each = args[i]
    local name, value = each:match("^([%a_][%w_]*)=(.*)$")
    if each:find("^%-%-job") then
      parsed.jobs[#parsed.jobs + 1], i = value_after(args, i, "--job")
    elseif each:find("^%-%-project") then
      parsed.project, i = value_after(args, i, "--project")
    elseif each:find("^%-") then
      options.usage("orch run: unknown option '%s' (known: --job, --project)", each)
    elseif not parsed.recipe then
      parsed.recipe = each
    elseif name then
      parsed.params[name] = value
    else
      options.usage("orch run: '%s' is neither an option nor NAME=VALUE", each)
    end
    i = i + 1
  end
  if not parsed.recipe then options.usage("orch run: which recipe? (orch run RECIPE)") end
  return parsed
end

local function main(args)
  local parsed = parse(args)
  local good, failure = run.run {
    recipe = recipe.load(parsed.recipe),
    project = project.find(parsed.project),
    jobs = #parsed.jobs > 0 and parsed.jobs or nil,
    params = parsed.params,
    reporters = { plain.new(io.stdout) },
  }
  if good then return 0 end
  return nil, failure
end

return { main = main }
