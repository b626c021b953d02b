-- A daemon of a newer API: each request is made in the version that was agreed on. A daemon of 1.41
-- is shown as one; a newer one is there as it is.
local engine = require "e2e.engine"
local proc = require "orch.proc"
local support = require "e2e.support"

describe("a newer daemon", function()
  if not support.services() then
    it("is a real one behind another number", function()
      pending("no services: run tests/run.sh")
    end)
    return
  end

  local scratch
  before_each(function() scratch = support.scratch { DOCKER_API_VERSION = false } end)
  after_each(function() scratch:remove() end)

  local between -- the daemon and orch, where it is shown as another
  after_each(function()
    if not between then return end
    between:cancel()
    between:wait()
    between = nil
  end)

  -- What the run prints, and the version that was to be agreed on.
  local function with_api(number, body, head)
    local env = {}
    if engine.is_newer() then
      number = engine.agreed()
    else
      between = assert(proc.start { argv = { "/usr/bin/python3",
        support.root .. "/tests/e2e/servers.py", "newer",
        os.getenv("DOCKER_HOST"):match("^unix://(.*)"), number } })
      env.DOCKER_HOST = "tcp://127.0.0.1:" .. assert(between:read()):match("%d+")
    end
    local result = scratch:recipe(body, {}, env, head)
    assert.equal(0, result.code, result.all)
    return result.out, number
  end

  -- 1.52 is the last whose session is begun by POST /session alone.
  it("is spoken to by every verb in the version of both", function()
    local out, api = with_api("1.52", ([[
      local host = %q
      local name = host .. "/version/x%s"
      job:log("api %%s", job:setup_remote_docker().api)
      job:docker_login { host, username = "AWS", password = job.secrets.ORCH_TEST_REGISTRY_PASSWORD }
      job:write { path = "Dockerfile", text = "FROM busybox:1.36\nRUN echo " .. name .. " > /id\n" }
      job:docker_build { tags = { name .. ":1" } }
      job:docker_build { tags = { name .. ":2" }, classic = true }
      job:docker_push { name .. ":1" }
      job:docker_push { name, all_tags = true }
      job:image_tag { source = name .. ":1", tags = name .. ":3" }
      job:image_save { images = name .. ":3", file = "x.tar" }
      job:image_remove { name .. ":1", name .. ":2", name .. ":3" }
      job:image_load "x.tar"
      job:docker_pull(name .. ":2")
      job:log("os %%s, there %%s", job:image_inspect(name .. ":2").Os,
        tostring(job:image_exists { name .. ":2", remote = true } ~= nil))
      job:image_remove { name .. ":2", name .. ":3" }]]):format(os.getenv("ORCH_TEST_REGISTRY"),
      scratch.dir:match("[^-]+$"):lower()), "secrets = { 'ORCH_TEST_REGISTRY_PASSWORD' },")
    assert.matches("api " .. api, out, 1, true)
    assert.matches("os linux, there true", out, 1, true)
  end)

  it("runs a job in its container", function()
    local out = with_api("1.55",
      [[job:run "echo in a container > f" job:log("said %s", job:read "f")]],
      "executor = orch.docker { image = 'busybox:1.36' },")
    assert.matches("said in a container", out, 1, true)
  end)
end)
