-- Gets a login for an ECR Public registry; give the result to docker_push as auth.
local credentials = require "orch.aws.credentials"
local ecr_public = require "orch.aws.ecr_public"
local unknown = require "orch.unknown"
local verb = require "orch.verb"

return verb.define {
  positional = "registry",
  options = { registry = { "string", default = "public.ecr.aws" } },
  replay = "again",
  plan = function(_, o)
    return { registry = o.registry, username = "AWS", password = unknown.new("ECR token") }
  end,
  returns = "{ registry: string, username: string, password: orch.Secret }",
  run = function(job, o)
    local login = ecr_public.token(credentials.of_job(job))
    job:mask(login.password)
    login.registry = o.registry:gsub("^https?://", ""):match("^[^/]+")
    job:log("logged in to %s as %s", login.registry, login.username)
    return login
  end,
}
