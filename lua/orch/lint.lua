-- Finds in a plan what would go wrong, or not do what its author thinks.
local fs = require "orch.fs"

local Findings = {}
Findings.__index = Findings

function Findings:add(where, message, suggestion)
  self.list[#self.list + 1] = { where = where or "?", message = message, suggestion = suggestion }
end

local function each_step(plan, visit)
  for _, job in ipairs(plan.jobs) do
    for _, entry in ipairs(job.steps) do visit(entry, job) end
  end
end

local rules = {}

-- A plan that stops at an error, or where the body decides on what only a run can tell.
function rules.ends(plan, findings)
  for _, job in ipairs(plan.jobs) do
    if job.ends and job.ends.decided then
      local given = job.ends.message:match("‹(pipeline%.[%w_.]+)›")
      findings:add(job.ends.where, ("job '%s' is %s: the plan ends here"):format(job.name, job.ends.message),
        given and ("say what it is, so that plan and check see what follows: %s=VALUE"):format(given)
          or "decide on parameters or outputs where you can, so that plan and check see what follows")
    elseif job.ends then
      findings:add(job.ends.where, job.ends.message, job.ends.hint)
    end
  end
end

function rules.unpushed(plan, findings)
  local pushed = {}
  for _, each in ipairs(plan.push) do pushed[each.name] = true end
  if #plan.push == 0 then return end -- a build for its own sake
  for _, each in ipairs(plan.build) do
    if not pushed[each.name] then
      findings:add(each.where, ("the tag %s is built but never pushed"):format(each.name),
        "name it in docker_push { tags = … }; a push sends only the tags it names")
    end
  end
end

local function ancestors(plan)
  local direct, all = {}, {}
  for _, job in ipairs(plan.jobs) do direct[job.name] = job.needs end
  local function collect(name, set)
    for _, need in ipairs(direct[name] or {}) do
      if not set[need.name] then
        set[need.name] = true
        collect(need.name, set)
      end
    end
    return set
  end
  for name in pairs(direct) do all[name] = collect(name, {}) end
  return all
end

-- Could the two patterns match one path? Equal ones, or one that matches the other's text.
local function overlap(a, b)
  return a == b or a == "." or b == "." or fs.matches(a, b) == true or fs.matches(b, a) == true
end

function rules.persisted_twice(plan, findings)
  local above = ancestors(plan)
  for i, a in ipairs(plan.persist) do
    for k = i + 1, #plan.persist do
      local b = plan.persist[k]
      if a.job ~= b.job and not above[a.job][b.job] and not above[b.job][a.job] and overlap(a.name, b.name) then
        findings:add(b.where, ("jobs '%s' and '%s' may run side by side, and both persist %s"):format(a.job, b.job,
          b.name), "let one need the other, or persist different names: attaching both would fail")
      end
    end
  end
end

local PATHS <const> = { path = true, file = true, root = true, at = true, context = true, working_directory = true }

function rules.variables_in_paths(plan, findings)
  each_step(plan, function(entry)
    for name, value in pairs(entry.options or {}) do
      local texts = PATHS[name] and { value } or name == "paths" and value or {}
      for _, text in ipairs(texts) do
        if type(text) == "string" and text:find("%$[%a_{]") then
          findings:add(entry.where, ("%s: option '%s' is '%s'; no shell expands it"):format(entry.verb, name, text),
            "use a Lua value: job.dir, job.tmp, a parameter, or os.getenv")
        end
      end
    end
  end)
end

local function command_of(entry)
  local command = entry.verb == "run" and entry.options and entry.options.command
  return type(command) == "table" and table.concat(command, " ") or command
end

function rules.traced_secrets(plan, findings)
  each_step(plan, function(entry)
    local command = command_of(entry)
    if command and (command:find("set %-%a*x") or command:find("^%S*sh %-%a*x"))
      and #((entry.options or {}).secrets or {}) > 0 then
      findings:add(entry.where, "run: `set -x` prints each command with its secrets",
        "leave `set -x` out of steps that are given secrets")
    end
  end)
end

function rules.ecr_public_region(plan, findings)
  each_step(plan, function(entry)
    local command = command_of(entry)
    local region = command and command:find("ecr%-public") and command:match("%-%-region[ =](%S+)")
    if region and region ~= "us-east-1" then
      findings:add(entry.where, ("run: ECR Public gives tokens in us-east-1 only, not in %s"):format(region),
        "use --region us-east-1, or the verb ecr_login")
    end
  end)
end

--- What is wrong with a plan, in the order of the rules' names and the plan's own.
---@return { where: string, message: string, suggestion?: string }[]
local function check(plan)
  local names, findings = {}, setmetatable({ list = {} }, Findings)
  for name in pairs(rules) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do rules[name](plan, findings) end
  return findings.list
end

return { check = check }
