-- Builds the project's image and pushes it to ECR Public under two names: latest and 0.1.<run
-- number>.
--
--   orch run recipes/build_push_docker_image.lua repository=my-app
--
-- Needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, and a docker daemon.
local orch = require "orch"

local AWS <const> = { "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN?" }

local create_ecr_repo = orch.job {
  name    = "create_ecr_repo",
  secrets = AWS,

  run = function(job)
    local ecr = job.tmp .. "/ecr"
    local repo = job:ecr_ensure_repository { repository = job.params.repository }

    job:write { path = ecr .. "/ecr_envars", text = table.concat {
      'export ECR_NAME="', repo.name, '"\n',
      'export ECR_PUBLIC_URI="', repo.uri, '"\n',
      "export ECR_URL=", repo.registry, "\n",
    } }
    job:persist_to_workspace { root = ecr, paths = { "*" } }

    return { uri = repo.uri }
  end,
}

local build_push_docker_image = orch.job {
  name    = "build_push_docker_image",
  needs   = { "create_ecr_repo" },
  secrets = AWS,

  run = function(job)
    local ecr = job.tmp .. "/ecr"
    job:checkout()
    job:setup_remote_docker()
    job:attach_workspace { at = ecr }

    local tag  = "0.1." .. job.pipeline.number
    local vars = job:export_vars { file = ecr .. "/ecr_envars", set = { TAG = tag } }
    local tags = { vars.ECR_PUBLIC_URI .. ":latest", vars.ECR_PUBLIC_URI .. ":" .. tag }

    job:docker_build { name = "Build Docker image", context = ".", tags = tags }
    job:docker_push  { name = "Push AWS ECR Public", tags = tags,
                       auth = job:ecr_login { registry = vars.ECR_URL } }
    job:persist_to_workspace { root = ecr, paths = { "*" } }

    return { image = tags[2] }
  end,
}

return orch.pipeline {
  params =
    { repository = { "string", default = "my-app", doc = "name of the ECR Public repository" } },
  create_ecr_repo,
  build_push_docker_image,
}
