-- Makes an ECR Public repository unless it is there.
local credentials = require "orch.aws.credentials"
local ecr_public = require "orch.aws.ecr_public"
local verb = require "orch.verb"

return verb.define {
  positional = "repository",
  options = { repository = "string", catalog = { "table", default = {} } },
  external = true,
  run = function(job, o)
    local repository, created = ecr_public.ensure_repository(o.repository, o.catalog, credentials.of_job(job))
    job:log("%s %s", repository.repositoryUri, created and "created" or "was there")
    return { name = repository.repositoryName, uri = repository.repositoryUri, arn = repository.repositoryArn,
      registry = repository.repositoryUri:match("^(.*)/[^/]*$"), created = created }
  end,
}
