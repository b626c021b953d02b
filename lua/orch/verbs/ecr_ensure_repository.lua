-- Makes an ECR Public repository unless it is there.
local credentials = require "orch.aws.credentials"
local ecr_public = require "orch.aws.ecr_public"
local unknown = require "orch.unknown"
local verb = require "orch.verb"

return verb.define {
  positional = "repository",
  options = { repository = "string", catalog = { "table", default = {} } },
  external = true,
  plan = function(_, o)
    return { name = o.repository, uri = unknown.new("uri of " .. tostring(o.repository)),
      registry = unknown.new("registry of " .. tostring(o.repository)), arn = unknown.new("arn"),
      created = unknown.new("created") }
  end,
  returns = "{ name: string, uri: string, arn: string, registry: string, created: boolean }",
  run = function(job, o)
    local repository, created = ecr_public.ensure_repository(o.repository, o.catalog,
      credentials.of_job(job))
    job:log("%s %s", repository.repositoryUri, created and "created" or "was there")
    return { name = repository.repositoryName, uri = repository.repositoryUri,
      arn = repository.repositoryArn,
      registry = repository.repositoryUri:match("^(.*)/[^/]*$"), created = created }
  end,
}
