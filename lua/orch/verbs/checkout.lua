-- Checks the project out (or another repository) into the working directory.
local error_value = require "orch.error"
local fnv = require "orch.fnv"
local task = require "orch.task"
local verb = require "orch.verb"

-- One for each checkout of a job, the same in every run: what has not changed since keeps its time.
local function times_of(job, o)
  if not job.times_dir then return nil end
  local what = tostring(o.path) .. "\0" .. tostring(o.url or "")
  return ("%s/%s-%s"):format(job.times_dir, job.place, fnv.hash(what))
end

-- Looks once in a run, while the checkout goes on: a person who has edited files and not committed
-- them must learn that no job sees that.
local function look_for_changes(job)
  if job.project.looked_at then return function() end end
  job.project.looked_at = true
  local repo = require "orch.repo"
  local looking = task.spawn(function()
    return repo.info { dir = job.project.dir, dirty = true }
  end)
  return function()
    local joined, good, info = pcall(looking.join, looking)
    if not joined or not good or not info or not info.dirty then return end
    job.bus:emit("warning", { id = job.name, job = job.name,
      message = "the project has changes that are not committed: jobs see only what is committed" })
  end
end

local function found(o, result, failure)
  if result then return result end
  if failure.kind == "missing" and failure.message:find("has no commit yet", 1, true) then
    failure.hint = "a job checks out what is committed: git add . && git commit"
  elseif o.url and failure.kind == "usage" and not o.url:find("[:/]") then
    failure.hint = ("job:checkout { ref = \"%s\" } takes a branch or tag of the project"):format(o.url)
  end
  error(failure, 0)
end

return verb.define {
  positional = "url",
  options = {
    url = { "string?", doc = "another repository than the project" },
    ref = { "string?", doc = "a branch or tag; default: HEAD" },
    sha = { "string?", doc = "a commit" },
    path = { "string", default = ".", doc = "where to, in the job's directory" },
    user = { "string?", doc = "for the host of url" },
    password = { "string?", doc = "job.secrets.NAME" },
    submodules = { "boolean", default = false },
    tags = { "boolean?",
      doc =
      "all tags, as `git describe` needs them; default: those of the project, none of a url" },
  },
  returns = "orch.repo.checkout_result",
  run = function(job, o)
    if not o.url and not job.project.in_git then
      error(error_value.new { kind = "missing",
        message = ("%s is in no git repository"):format(job.project.dir),
        hint =
          "run orch inside one, give --project DIR, or name a repository: job:checkout { url = … }" }, 0)
    end
    local tags = o.tags or o.tags == nil and not o.url
    local tell_changes = not (o.url or o.ref or o.sha) and look_for_changes(job)
    local result =
      found(o, job.fs.checkout { url = o.url or job.project.dir, ref = o.ref, sha = o.sha,
      into = o.path, user = o.user, password = o.password, submodules = o.submodules, tags = tags,
      times = times_of(job, o) })
    if tell_changes then tell_changes() end
    job:log("HEAD is now at %s %s", result.sha:sub(1, 7), result.subject or "")
    return result
  end,
}
