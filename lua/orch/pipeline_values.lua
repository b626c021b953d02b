-- job.pipeline: what a CI service would tell a job of its pipeline. Here the run stands for it;
-- what there is none of has the values that CircleCI's own local command gives, and each may be
-- given as pipeline.NAME=VALUE.
local nearest = require "orch.nearest"
local options = require "orch.options"
local strict = require "orch.strict".strict
local unknown = require "orch.unknown"

local PREFIX <const> = "pipeline."

local schema <const> = options.schema {
  number = { "integer", min = 0 }, id = "string", event_time = "string",
  ["project.git_url"] = "string", ["project.type"] = "string",
  ["git.branch"] = "string", ["git.tag"] = "string", ["git.revision"] = "string",
  ["git.base_revision"] = "string",
  ["git.is_default"] = "boolean", ["git.url"] = "string",
}

local NAMES <const> = { [""] = { "event_time", "git", "id", "number", "project" },
  git = { "base_revision", "branch", "is_default", "revision", "tag", "url" },
  project = { "git_url", "type" } }

local ALWAYS <const> = { event_time = "2020-01-01T00:00:00Z", ["git.is_default"] = false }

--- Is it the name of one that is given: "pipeline.git.branch"?
local function is(name) return name:sub(1, #PREFIX) == PREFIX end

--- Notes one that is given; raises kind usage for an unknown one, and for a wrong value. The empty
--- text: there is none.
---@param given table<string, any> by name without "pipeline."
---@param from string who gives it, for the message
---@param name string
---@param value any a text when it comes from a command line
---@param is_text boolean
local function note(given, from, name, value, is_text)
  local short = name:sub(#PREFIX + 1)
  local option = schema.options[short]
  if not option then
    local known = {}
    for i, each in ipairs(schema.names) do known[i] = PREFIX .. each end
    options.usage("%s: there is no '%s'%s", from, name, nearest.hint(name, known))
  end
  from = from .. ": pipeline"
  if is_text and (value ~= "" or option.type ~= "string") then
    value = schema:from_text(from, short, value)
  end
  schema:check_value(from, option, value)
  given[short] = value
end

-- A pipeline is one of a branch or of a tag, and so is the one that is asked for.
local function one_of_branch_and_tag(values, given)
  if (given["git.tag"] or "") ~= "" and not given["git.branch"] then values["git.branch"] = nil end
  if (given["git.branch"] or "") ~= "" and not given["git.tag"] then values["git.tag"] = nil end
end

local function with_given(values, given)
  one_of_branch_and_tag(values, given)
  for name, value in pairs(ALWAYS) do values[name] = value end
  for name, value in pairs(given) do
    if value == "" then values[name] = nil else values[name] = value end
  end
  return values
end

-- The part of the values that has this name, as a table of its own.
local function part(values, group)
  local made = {}
  for _, name in ipairs(NAMES[group]) do made[name] = values[group .. "." .. name] end
  return strict(made, "job.pipeline." .. group, NAMES[group])
end

local function host_type(url)
  local host = url and (url:match("^%a[%w+.-]*://([^/]+)") or url:match("^([^/:]+):")) or ""
  return host:find("gitlab", 1, true) and "gitlab" or host:find("bitbucket", 1, true)
    and "bitbucket" or "github"
end

local function has_git(given)
  for name in pairs(given) do
    if name:find("^git%.") then return true end
  end
  return false
end

-- What git says of the project costs a process: it is read when first asked for, and kept with the
-- run.
local function read(run, group, given)
  local good, info = pcall(run.journal.once, run.journal, function()
    local found = assert(require "orch.repo".info { dir = run.project.dir })
    return { revision = found.sha, branch = found.branch, tag = found.tag, url = found.remote_url }
  end)
  if not good then
    if run.project.in_git or group == "git" and not has_git(given) then error(info, 0) end
    info = {}
  end
  local values =
    with_given({ ["git.branch"] = info.branch, ["git.tag"] = info.tag,
    ["git.revision"] = info.revision,
    ["git.base_revision"] = info.revision, ["git.url"] = info.url, ["project.git_url"] = info.url,
    ["project.type"] = host_type(info.url) }, given)
  return part(values, group)
end

-- What the values of all jobs of a run have in common: git's are read when first asked for.
local function kind_of(run, given)
  local function names()
    local at = 0
    return function(values)
      at = at + 1
      local name = NAMES[""][at]
      if name then return name, values[name] end
    end
  end
  return { __index = function(values, key)
    if key ~= "git" and key ~= "project" then
      local of_git = nearest.find(tostring(key), NAMES.git, true)
      options.usage("job.pipeline has no '%s'%s", tostring(key),
        of_git and ("; did you mean 'git.%s'?"):format(of_git)
          or nearest.hint(tostring(key), NAMES[""]))
    end
    rawset(values, key, read(run, key, given))
    return values[key]
  end, __pairs = function(values) return names(), values end }
end

--- Of a run.
---@param run table
---@return table
local function of_run(run)
  local given = run.options.pipeline or {}
  run.kind_of_values = run.kind_of_values or kind_of(run, given)
  return setmetatable({ number = given.number or run.journal.number, id = given.id or run.id,
    event_time = given.event_time or ALWAYS.event_time }, run.kind_of_values)
end

-- A plan's: what is not given prints as ‹pipeline.git.branch›.
local function planned(given)
  local values = {}
  for _, name in ipairs(schema.names) do values[name] = unknown.new(PREFIX .. name) end
  with_given(values, given)
  return strict({ number = values.number, id = values.id, event_time = values.event_time,
    git = part(values, "git"), project = part(values, "project") }, "job.pipeline")
end

return { is = is, note = note, of_run = of_run, planned = planned }
