-- What the CI services make of a log: groups that fold, failures that stand out. Each dialect is {
-- open, close, failure, warning, clean }; what programs print never speaks it.
local fs = require "orch.fs"

local function nothing() return nil end

-- https://docs.github.com/actions/reference/workflow-commands-for-github-actions: data and
-- properties of a command are escaped as its toolkit does.
local function github_data(text)
  return (text:gsub("[%%\r\n]", { ["%"] = "%25", ["\r"] = "%0D", ["\n"] = "%0A" }))
end

local function github_property(text)
  return (github_data(text):gsub("[:,]", { [":"] = "%3A", [","] = "%2C" }))
end

local function github(env)
  local workspace = env "GITHUB_WORKSPACE"
  return {
    open = function(_, title) return "::group::" .. github_data(title) end,
    close = function() return "::endgroup::" end,
    failure = function(where, message)
      local file, line = (where or ""):match("^(.*):(%d+)$")
      if not file then return "::error::" .. github_data(message) end
      file = fs.real_path(file) or file
      if workspace and file:sub(1, #workspace + 1) == workspace .. "/" then
        file = file:sub(#workspace + 2)
      end
      return ("::error file=%s,line=%s::%s"):format(github_property(file), line,
        github_data(message))
    end,
    warning = function(message) return "::warning::" .. github_data(message) end,
    -- The runner obeys "::command" at the start of a line, blanks aside, and "##[command]"
    -- anywhere.
    clean = function(text) return (text:gsub("^(%s*):", "%1\\x3a"):gsub("##%[", "\\x23#[")) end,
  }
end

-- https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
local function gitlab()
  local function section(what, id, time)
    return ("\27[0Ksection_%s:%d:orch_%s\r\27[0K"):format(what, time, (id:gsub("[^%w]", "_")))
  end
  return {
    open = function(id, title, time) return section("start", id, time) .. title end,
    close = function(id, time) return section("end", id, time) end,
    failure = nothing,
    warning = nothing,
    clean = function(text) return text end,
  }
end

-- https://buildkite.com/docs/pipelines/configure/managing-log-output: a line that begins so opens a
-- group.
local function buildkite()
  return {
    open = function(_, title) return "--- " .. title end,
    close = nothing,
    failure = function() return "^^^ +++" end,
    warning = nothing,
    clean = function(text) return (text:gsub("^([-+~^])(%1%1)", "\\x%2%2")) end,
  }
end

--- The dialect of the service that runs this, or nil.
---@param env fun(name: string): string?
---@return table?
local function dialect(env)
  if env "GITHUB_ACTIONS" == "true" then return github(env) end
  if env "GITLAB_CI" then return gitlab() end
  if env "BUILDKITE" == "true" then return buildkite() end
end

return { dialect = dialect }
