-- Rules of `orch check`: are secrets where they are needed, and nowhere that others would see them?
local nearest = require "orch.nearest"
local steps = require "orch.lint_steps"

local each_command <const>, each_step <const> = steps.each_command, steps.each_step

local rules = {}

-- Names of the secrets that a step is given: by name, or in its environment under any.
local function given_secrets(entry)
  local names, count = {}, 0
  for _, name in ipairs(entry.options.secrets or {}) do names[name], count = true, count + 1 end
  for name, value in pairs(entry.options.environment or {}) do
    names[name] = true
    if tostring(value):find("‹secret ", 1, true) then count = count + 1 end
  end
  return names, count
end

local function traces(text)
  return text:find("set %-%a*x") or text:find("set %-o%s+xtrace") or text:find("^%S*sh %-%a*x")
end

function rules.secrets_not_declared(plan, findings)
  each_step(plan, function(entry, job)
    local declared = {}
    for i, each in ipairs(job.secrets) do declared[i] = each:match("^[%w_]+") end
    for _, name in ipairs(entry.verb == "run" and entry.options.secrets or {}) do
      if not nearest.contains(declared, name) then
        findings:add(entry.where,
          ("run: the job declares no secret '%s'%s"):format(name, nearest.hint(name, declared)),
          ("declare it in the head of the job: secrets = { \"%s\" }"):format(name))
      end
    end
  end)
end

function rules.traced_secrets(plan, findings)
  each_command(plan, function(command, entry)
    local shell = entry.options.shell or ""
    if type(shell) == "table" then shell = table.concat(shell, " ") end
    local _, count = given_secrets(entry)
    if count > 0 and (traces(command) or traces(shell)) then
      findings:add(entry.where, "run: `set -x` prints each command with its secrets",
        "leave `set -x` out of steps that are given secrets")
    end
  end)
end

function rules.secrets_in_commands(plan, findings)
  each_command(plan, function(command, entry)
    local name = command:match("‹secret (.-)›")
    if name then
      findings:add(entry.where,
        ("run: the secret '%s' would stand in the command line, for all to read"):format(name),
        ("give it by name: job:run { \"… $%s …\", secrets = { \"%s\" } }"):format(name, name))
    end
  end)
end

-- The shell would put nothing in its place.
function rules.secrets_not_given(plan, findings)
  each_command(plan, function(command, entry, job)
    local given = given_secrets(entry)
    for _, declared in ipairs(job.secrets) do
      local name = declared:match("^[%w_]+")
      local used = command:find("%$" .. name .. "%f[^%w_]")
        or command:find("%${" .. name .. "%f[^%w_]")
      if used and not given[name] and not command:find("%f[%w_]" .. name .. "=") then
        findings:add(entry.where,
          ("run: $%s is empty: the step is not given the secret"):format(name),
          ("job:run { …, secrets = { \"%s\" } }"):format(name))
      end
    end
  end)
end

return rules
