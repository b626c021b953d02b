-- Checks the project out (or another repository) into the working directory.
local error_value = require "orch.error"
local verb = require "orch.verb"

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
      into = o.path, user = o.user, password = o.password, submodules = o.submodules })
    job:log("HEAD is now at %s %s", result.sha:sub(1, 7), result.subject or "")
    return result
  end,
}
