-- Logs in to a registry for the rest of the job; no file is written unless asked.
local login = require "orch.docker.login"
local verb = require "orch.verb"

return verb.define {
  positional = "registry",
  options = {
    registry = { "string", default = "docker.io", doc = "its host" },
    username = "string",
    password = "secret",
    write_config = { "boolean", default = false, doc = "also where the docker command line looks" },
  },
  replay = "again",
  plan = function(_, o) return { registry = o.registry, username = o.username } end,
  returns = "{ registry: string, username: string }",
  run = function(job, o) return login.login(job, o) end,
}
