local support = require "e2e.support"

local RECIPE <const> = support.root .. "/recipes/build_push_docker_image.lua"
local check <const> = support.check

describe("the services' refusals", function()
  if not support.services() then
    it("come as one clear error", function() pending("no services: run tests/run.sh") end)
    return
  end

  local scratch, project
  before_each(function()
    scratch = support.scratch()
    project =
      scratch:project { Dockerfile = "FROM busybox:1.36\nRUN echo about to fail && exit 3\n" }
  end)
  after_each(function() scratch:remove() end)

  local function main_job(env, ...)
    return scratch:orch({ "run", RECIPE, "--project", project,
      "repository=bad-input-" .. scratch.dir:match("[^-]+$"):lower(), ... }, env)
  end

  it("a wrong AWS secret", function()
    check(scratch, main_job { AWS_SECRET_ACCESS_KEY = "wrong-wrong-wrong" }, 3,
      "InvalidSignatureException",
      "AWS_SECRET_ACCESS_KEY", "create_ecr_repo")
  end)

  it("an unknown AWS key", function()
    check(scratch, main_job { AWS_ACCESS_KEY_ID = "AKIANOBODY0000000000" }, 3,
      "UnrecognizedClientException",
      "AWS_ACCESS_KEY_ID")
  end)

  it("a key without the permission", function()
    check(scratch, main_job { AWS_ACCESS_KEY_ID = os.getenv("ORCH_TEST_DENIED_ACCESS_KEY_ID"),
      AWS_SECRET_ACCESS_KEY = os.getenv("ORCH_TEST_DENIED_SECRET_ACCESS_KEY") }, 3, "AccessDenied",
      "sts:GetServiceBearerToken")
  end)

  it("a Dockerfile that fails", function()
    local result = main_job()
    check(scratch, result, 1, "Build Docker image", "exit code: 3", "build_push_docker_image.lua:")
    assert.is_truthy(result.out:find("about to fail", 1, true), result.out)
  end)

  it("a missing Dockerfile, before anything is sent", function()
    check(scratch, scratch:recipe("job:docker_build { tags = { 'x:1' } }"), 5, "Dockerfile",
      "recipe.lua:4")
  end)

  it("a registry that says 401", function()
    local image = os.getenv("ORCH_TEST_REGISTRY") .. "/alias/x:1"
    local result = scratch:recipe(([[
    job:write { path = "Dockerfile", text = "FROM busybox:1.36\n" }
    job:docker_build { tags = { %q } }
    job:docker_push { tags = { %q } }]]):format(image, image))
    check(scratch, result, 3, "docker push", image, "recipe.lua:6")
  end)

  it("a tag that was never built", function()
    local image = os.getenv("ORCH_TEST_REGISTRY") .. "/alias/never:1"
    check(scratch, scratch:recipe(("job:docker_push { tags = { %q } }"):format(image)), 5, image)
  end)
end)
