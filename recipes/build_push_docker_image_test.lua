-- Tests of build_push_docker_image.lua: orch test recipes
local orch = require "orch"

local RECIPE <const> = "build_push_docker_image.lua"
local URI <const> = "public.ecr.aws/me/my-app"

-- What the world answers; each test changes what it is about.
local function world(changes)
  local verbs = {
    ecr_ensure_repository = { name = "my-app", uri = URI, registry = "public.ecr.aws" },
    export_vars = function(o)
      return { ECR_PUBLIC_URI = URI, ECR_URL = "public.ecr.aws", TAG = o.set.TAG }
    end,
  }
  for name, answer in pairs(changes or {}) do verbs[name] = answer end
  return { pipeline = { number = 7 }, verbs = verbs }
end

return {
  ["pushes each tag that it builds"] = function(t)
    local run = t:run(RECIPE, world())
    t:equal({ URI .. ":latest", URI .. ":0.1.7" }, run.push)
    t:equal(run.build, run.push)
    t:equal({ image = URI .. ":0.1.7" }, run.jobs.build_push_docker_image.outputs)
  end,

  ["hands the repository's address to the job that pushes"] = function(t)
    local run = t:run(RECIPE, world())
    t:equal("r/ecr/ecr_envars", (run:calls("write")[1].path:gsub("^.*/ecr/", "r/ecr/")))
    assert(run:calls("write")[1].text:find('export ECR_PUBLIC_URI="' .. URI .. '"', 1, true))
    t:equal({ "*", "*" }, run.persist)
  end,

  ["pushes nothing when the build fails"] = function(t)
    local run = t:run(RECIPE,
      world { docker_build = function() orch.fail "no such base image" end })
    t:equal("failed", run.jobs.build_push_docker_image.state)
    t:equal("no such base image", run.jobs.build_push_docker_image.failure)
    t:equal({}, run.push)
  end,

  ["builds nothing without a repository"] = function(t)
    local run = t:run(RECIPE,
      world { ecr_ensure_repository = function() orch.fail "not allowed" end })
    t:equal("not_run", run.jobs.build_push_docker_image.state)
    t:equal({}, run.build)
  end,
}
