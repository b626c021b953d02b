-- Checks the project out (or another repository) into the working directory.
local error_value = require "orch.error"
local fnv = require "orch.fnv"
local verb = require "orch.verb"

-- One for each checkout of a job, the same in every run: what has not changed since keeps its time.
local function times_of(job, o)
  if not job.times_dir then return nil end
  local what = tostring(o.path) .. "\0" .. tostring(o.url or "")
  return ("%s/%s-%s"):format(job.times_dir, job.place, fnv.hash(what))
end

return verb.define {
  positional = "url",
  options = {
    url = "string?",
    ref = "string?",
    sha = "string?",
    path = { "string", default = "." },
    user = "string?",
    password = "string?",
    submodules = { "boolean", default = false },
  },
  returns = "orch.repo.checkout_result",
  run = function(job, o)
    if not o.url and not job.project.in_git then
      error(error_value.new { kind = "missing", message = ("%s is in no git repository"):format(job.project.dir),
        hint = "run orch inside one, give --project DIR, or name a repository: job:checkout { url = … }" }, 0)
    end
    local result = assert(job.fs.checkout { url = o.url or job.project.dir, ref = o.ref, sha = o.sha,
      into = o.path, user = o.user, password = o.password, submodules = o.submodules,
      times = times_of(job, o) })
    job:log("HEAD is now at %s %s", result.sha:sub(1, 7), result.subject or "")
    return result
  end,
}
