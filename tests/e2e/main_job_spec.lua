local engine = require "e2e.engine"
local fs = require "orch.fs"
local http = require "orch.http"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"

local RECIPE <const> = support.root .. "/recipes/build_push_docker_image.lua"

local function registry(path, method)
  return assert(http.request {
    url = ("http://%s/v2/%s"):format(os.getenv("ORCH_TEST_REGISTRY"), path),
    method = method or "GET",
    basic = { user = os.getenv("ORCH_TEST_REGISTRY_USER"),
      password = os.getenv("ORCH_TEST_REGISTRY_PASSWORD") },
    headers = { Accept = "application/vnd.docker.distribution.manifest.v2+json, "
      .. "application/vnd.oci.image.manifest.v1+json" },
  })
end

local function docker(path) return json.decode(engine.ask("/v1.41" .. path).body) end

describe("the main job", function()
  if not support.services() then
    it("runs on real services", function() pending("no services: run tests/run.sh") end)
    return
  end

  local scratch, project, repository
  before_each(function()
    scratch = support.scratch()
    repository = "spec-" .. scratch.dir:match("[^-]+$"):lower()
    project = scratch:project {
      ["Dockerfile"] = "FROM busybox:1.36\nCOPY app /app\nRUN cat /app/hello > /built\n",
      ["app/hello"] = scratch.dir .. "\n",
      [".dockerignore"] = ".git\n",
      ["secret.txt"] = "not for the image\n",
    }
  end)
  after_each(function() scratch:remove() end)

  it("ends with both tags in the registry, and the same again without work", function()
    local first = scratch:orch { "run", RECIPE, "--project", project, "repository=" .. repository }
    assert.equal(0, first.code, first.all)
    local alias = os.getenv("ORCH_TEST_ECR_ALIAS")
    local name = alias .. "/" .. repository
    local tags = json.decode(registry(name .. "/tags/list").body).tags
    table.sort(tags)
    assert.same({ "0.1.1", "latest" }, tags)

    local latest = registry(name .. "/manifests/latest", "HEAD").headers["docker-content-digest"]
    assert.equal(latest,
      registry(name .. "/manifests/0.1.1", "HEAD").headers["docker-content-digest"])
    local uri = os.getenv("ORCH_TEST_REGISTRY") .. "/" .. name
    assert.matches(uri .. ":latest", first.out, 1, true)
    assert.matches(uri .. ":0.1.1", first.out, 1, true)
    assert.matches(latest, first.out, 1, true)

    -- the image has what the Dockerfile says, and is owned by root
    local image = docker("/images/" .. uri .. ":0.1.1/json")
    assert.is_string(image.Id)

    local second = scratch:orch { "run", RECIPE, "--project", project, "repository=" .. repository }
    assert.equal(0, second.code, second.all)
    assert.matches("was there", second.out)
    assert.matches("cached", second.out)
    assert.equal(latest,
      registry(name .. "/manifests/0.1.2", "HEAD").headers["docker-content-digest"])

    for _,
      secret in ipairs { os.getenv("AWS_SECRET_ACCESS_KEY"),
      os.getenv("ORCH_TEST_REGISTRY_PASSWORD") } do
      assert.is_nil(first.all:find(secret, 1, true))
      assert.is_nil(second.all:find(secret, 1, true))
      local found =
        assert(proc.run { argv = { "grep", "-rlF", "--", secret, scratch:path("state") } })
      assert.equal("", found.stdout)
    end
    assert.same({}, scratch:leftovers(true))
  end)

  it("keeps the workspace as an OCI image layout", function()
    local result = scratch:orch { "run", RECIPE, "--project", project, "repository=" .. repository }
    assert.equal(0, result.code, result.all)
    for job, layers in pairs { create_ecr_repo = 1, build_push_docker_image = 1 } do
      local reference = ("oci:%s:1/%s"):format(scratch:path("state/store"), job)
      local inspected =
        assert(proc.run { argv = { "skopeo", "inspect", "--raw", reference }, split = true })
      assert.equal(0, inspected.code, inspected.stderr)
      assert.equal(layers, #json.decode(inspected.stdout).layers)
      inspected = assert(proc.run { argv = { "skopeo", "inspect", reference }, split = true })
      assert.equal(0, inspected.code, inspected.stderr)
    end
    local into = scratch:path("unpacked")
    assert(fs.make_dir(into))
    for _, blob in ipairs(fs.list(scratch:path("state/store/blobs/sha256"))) do
      proc.run { argv = { "tar", "xzf", scratch:path("state/store/blobs/sha256/") .. blob, "-C",
        into } }
    end
    local uri = ("%s/%s/%s"):format(os.getenv("ORCH_TEST_REGISTRY"),
      os.getenv("ORCH_TEST_ECR_ALIAS"), repository)
    local sourced = assert(proc.run { argv = { "bash", "-c",
      ". ./ecr_envars && echo $ECR_NAME $ECR_PUBLIC_URI $ECR_URL" }, cwd = into })
    assert.equal(("%s %s %s\n"):format(repository, uri, uri:match("^(.*)/")), sourced.stdout)
  end)

  it("gives two runs at once two numbers", function()
    local recipe = scratch:write("number.lua", [[
local orch = require "orch"
return orch.job { name = "n", run = function(job) job:log("number %d", job.pipeline.number) end }
]])
    local children = {}
    for i = 1, 10 do children[i] = scratch:start { "run", recipe } end
    local seen = {}
    for _, child in ipairs(children) do
      local text = {}
      for piece in child.read, child do text[#text + 1] = piece end
      assert.equal(0, assert(child:wait()).code, table.concat(text))
      seen[tonumber(table.concat(text):match("number (%d+)"))] = true
    end
    for i = 1, 10 do assert.is_true(seen[i], "number " .. i) end
  end)
end)
