-- Finds in a plan what would go wrong, or not do what its author thinks.
local foreign = require "orch.lint_foreign"
local overlap = require("orch.overlap").overlap
local reference = require "orch.docker.reference"
local secrets = require "orch.lint_secrets"
local steps = require "orch.lint_steps"

local each_command <const>, each_step <const> = steps.each_command, steps.each_step

local Findings = {}
Findings.__index = Findings

function Findings:add(where, message, suggestion)
  -- Lua's own
  if where and message:sub(1, #where + 2) == where .. ": " then
    message = message:sub(#where + 3)
  end
  self.list[#self.list + 1] = { where = where or "?", message = message, suggestion = suggestion }
end

local rules = {}

-- A plan that stops at an error, or where the body decides on what only a run can tell.
function rules.ends(plan, findings)
  for _, job in ipairs(plan.jobs) do
    if job.ends and job.ends.decided then
      local given = job.ends.message:match("‹(pipeline%.[%w_.]+)›")
      findings:add(job.ends.where,
        ("job '%s' is %s: the plan ends here"):format(job.name, job.ends.message),
        given
          and ("say what it is, so that plan and check see what follows: %s=VALUE"):format(given)
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

-- One line of the recipe for several jobs, a matrix's or a loop's: a directory or a pattern is
-- where each puts files of its own; a name that ends as files do is one file.
local function may_differ(a, b)
  return a.where == b.where and (a.name:find("[*?%[]") or not a.name:find("[^/]%.[^/.]+$"))
end

function rules.persisted_twice(plan, findings)
  local above, told = ancestors(plan), {}
  for i, a in ipairs(plan.persist) do
    for k = i + 1, #plan.persist do
      local b = plan.persist[k]
      local lines = ("%s %s"):format(a.where, b.where)
      if a.job ~= b.job and not above[a.job][b.job] and not above[b.job][a.job]
        and overlap(a.name, b.name)
        and not may_differ(a, b) and not told[lines] then
        told[lines] = true -- a matrix's other jobs do the same
        findings:add(b.where,
          ("jobs '%s' and '%s' may run side by side, and both persist %s"):format(a.job, b.job,
          b.name),
            "let one need the other, or persist different names: attaching two files of one name would fail")
      end
    end
  end
end

-- Is a job meant by the list: by its own name, or as an instance of a matrix?
local function is_meant(name, from)
  for _, each in ipairs(from or { name }) do
    if name == each or name:sub(1, #each + 1) == each .. "-" then return true end
  end
  return false
end

-- Nothing is what it attaches, unless a job above persists something, or may: its plan is not
-- whole.
function rules.attached_in_vain(plan, findings)
  local gives, above = {}, ancestors(plan)
  for _, each in ipairs(plan.persist) do gives[each.job] = true end
  for _, job in ipairs(plan.jobs) do gives[job.name] = gives[job.name] or job.ends ~= nil end
  each_step(plan, function(entry, job)
    if entry.verb ~= "attach_workspace" then return end
    local from = entry.options and entry.options.from
    for name in pairs(above[job.name]) do
      if gives[name] and is_meant(name, from) then return end
    end
    findings:add(entry.where,
      ("job '%s' attaches nothing: no job that it needs%s persists anything"):format(job.name,
        from and " and names" or ""),
      next(above[job.name]) and "job:persist_to_workspace { … } in one of those"
        or "name the jobs whose files it needs: needs = { … }")
  end)
end

function rules.tags(plan, findings)
  for _, list in ipairs { plan.build, plan.push } do
    for _, each in ipairs(list) do
      local good, failure = true, nil
      if not each.name:find("‹", 1, true) then good, failure = pcall(reference.parse, each.name) end
      if not good then findings:add(each.where, failure.message) end
    end
  end
end

local PATHS <const> = { path = true, file = true, root = true, at = true, context = true,
  working_directory = true,
  output = true }

function rules.variables_in_paths(plan, findings)
  each_step(plan, function(entry)
    for name, value in pairs(entry.options or {}) do
      local texts = PATHS[name] and { value } or name == "paths" and value or {}
      for _, text in ipairs(texts) do
        local home = name ~= "working_directory" and type(text) == "string"
          and text:find("^~%f[/\0]")
        if type(text) == "string" and (text:find("%$[%a_{]") or home) then
          findings:add(entry.where,
            ("%s: option '%s' is '%s'; no shell expands it"):format(entry.verb, name, text),
            "use a Lua value: job.dir, job.tmp, a parameter, or os.getenv")
        end
      end
    end
  end)
end

-- Outside of the root there is nothing to keep.
function rules.persisted_outside(plan, findings)
  for _, each in ipairs(plan.persist) do
    local outside = ("/" .. each.name .. "/"):find("/../", 1, true)
    if outside or each.name:sub(1, 1) == "/" then
      findings:add(each.where,
        ("persist_to_workspace: '%s' is not below the root '%s'"):format(each.name,
        each.root or "."),
        "name paths relative to the root, or another root")
    end
  end
end

function rules.ecr_public_region(plan, findings)
  each_command(plan, function(command, entry)
    if not command:find("ecr%-public") then return end
    local set = entry.options.environment or {}
    local region = command:match("%-%-region[ =](%S+)") or set.AWS_REGION or set.AWS_DEFAULT_REGION
    if region and region ~= "us-east-1" and not tostring(region):find("[‹$]") then
      findings:add(entry.where,
        ("run: ECR Public gives tokens in us-east-1 only, not in %s"):format(region),
        "use --region us-east-1, or the verb ecr_login")
    end
  end)
end

-- `docker push NAME` has sent only NAME:latest since docker 20.10, whatever was built.
function rules.pushed_without_tag(plan, findings)
  each_command(plan, function(command, entry)
    for words in command:gmatch("docker%s+push%s+([^\n;&|]+)") do
      local name = not words:find("%-%-all%-tags") and not words:find("^%-a%s")
        and words:match("(%S+)%s*$")
      local last = name and name:gsub("[\"']", ""):match("[^/]+$")
      if last and not last:find("[:@$]") then
        findings:add(entry.where, ("run: `docker push %s` sends only the tag latest"):format(name),
          "name the tag, or use docker_push { tags = … }, which sends each tag it names")
      end
    end
  end)
end

local BIND_MOUNTS <const> = { "%s%-v[ =]?[\"']?[./$~]", "%s%-%-volume[ =][\"']?[./$~]",
  "type=bind" }

-- The daemon looks for such a directory on its own machine.
function rules.bind_mounts(plan, findings)
  each_command(plan, function(command, entry, job)
    if not (job.executor or ""):find("^container ") or not command:find("docker%s+%l*%s*run%f[%s]")
      and not command:find("docker%s+%l*%s*create%f[%s]") then return end
    for _, pattern in ipairs(BIND_MOUNTS) do
      if command:find(pattern) then
        return findings:add(entry.where,
          "run: the daemon mounts its own machine's files, not those of the job's container",
          "bring files in with docker cp or a build, or run the job on the host")
      end
    end
  end)
end

-- Put off until the body has ended, but only once the call is reached: after what may fail, it is
-- too late.
function rules.put_off_too_late(plan, findings)
  for _, job in ipairs(plan.jobs) do
    for _, entry in ipairs(job.ends and {} or job.steps) do
      local after = entry.put_off and entry.put_off.after or 0
      local following = job.steps[after + 1]
      if after > 0 and following.put_off then
        local before = job.steps[after]
        findings:add(entry.where,
          ("%s: when = \"%s\" comes too late: when '%s' (%s) fails, this call is never reached")
          :format(entry.verb, entry.put_off.when, before.title, before.where or "?"),
          "call it before what may fail; it is done when the body has ended")
      end
    end
  end
end

local function by_place(a, b)
  local x, y = a.where:match("^(.-):?%d*$"), b.where:match("^(.-):?%d*$")
  if x ~= y then return x < y end
  local m, n = tonumber(a.where:match("(%d+)$")) or 0, tonumber(b.where:match("(%d+)$")) or 0
  return m < n or m == n and a.message < b.message
end

--- What is wrong with a plan, in the order of the recipe's lines.
---@return { where: string, message: string, suggestion?: string }[]
local function check(plan)
  local findings = setmetatable({ list = {} }, Findings)
  for _, set in ipairs { rules, secrets, foreign } do
    local names = {}
    for name in pairs(set) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do set[name](plan, findings) end
  end
  table.sort(findings.list, by_place)
  return findings.list
end

return { check = check }
