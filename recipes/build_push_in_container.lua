-- Builds the project's image in a container of cimg/node:14.16.0 and pushes it to ECR Public: shell
-- steps where the project has shell, verbs where a command line would have to be installed first.
--
--   orch run recipes/build_push_in_container.lua repository=my-app
--
-- Needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, and a docker daemon.
local orch = require "orch"

local AWS <const> = { "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN?" }

local node = orch.docker { image = "cimg/node:14.16.0" }

local create_ecr_repo = orch.job {
  name     = "create_ecr_repo",
  executor = node,
  secrets  = AWS,

  run = function(job)
    local repo = job:ecr_ensure_repository { repository = job.params.repository }
    job:run { name = "Write ecr_envars", environment = { URI = repo.uri, REGISTRY = repo.registry },
      [[
      mkdir -p /tmp/ecr
      echo "export ECR_PUBLIC_URI=$URI" >> /tmp/ecr/ecr_envars
      echo "export ECR_URL=$REGISTRY" >> /tmp/ecr/ecr_envars
    ]] }
    job:persist_to_workspace { root = "/tmp/ecr", paths = { "*" } }
  end,
}

local build_push_docker_image = orch.job {
  name     = "build_push_docker_image",
  needs    = { "create_ecr_repo" },
  executor = node,
  secrets  = AWS,

  run = function(job)
    job:checkout()
    job:setup_remote_docker()
    job:attach_workspace { at = "/tmp/ecr" }

    job:run { name = "Choose a tag", environment = { TAG = "0.1." .. job.pipeline.number }, [[
      echo "export TAG=$TAG" >> /tmp/ecr/ecr_envars
      source /tmp/ecr/ecr_envars
      echo "$ECR_PUBLIC_URI:$TAG"
    ]] }
    local vars = job:export_vars { file = "/tmp/ecr/ecr_envars" }
    local tags = { vars.ECR_PUBLIC_URI .. ":latest", vars.ECR_PUBLIC_URI .. ":" .. vars.TAG }

    job:docker_build { name = "Build Docker image", context = ".", tags = tags }
    job:docker_push  { name = "Push AWS ECR Public", tags = tags,
                       auth = job:ecr_login { registry = vars.ECR_URL } }
    job:persist_to_workspace { root = "/tmp/ecr", paths = { "*" } }

    return { image = tags[2] }
  end,
}

return orch.pipeline {
  params =
    { repository = { "string", default = "my-app", doc = "name of the ECR Public repository" } },
  create_ecr_repo,
  build_push_docker_image,
}
