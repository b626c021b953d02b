-- What a registry does to pulls, and to builds that begin with an image of it.
local faulty_registry = require "e2e.faulty_registry"
local fs = require "orch.fs"
local proc = require "orch.proc"
local support = require "e2e.support"
local task = require "orch.task"

local PASSWORD <const> = os.getenv("ORCH_TEST_REGISTRY_PASSWORD")

-- The exit code that each gives, or "again" for what passes.
local function said(code, message) return { errors = { { code = code, message = message } } } end
local NO <const> = {
  { 3, { status = 401, body = said("UNAUTHORIZED", "authentication required") } },
  { 3, { status = 403, body = said("DENIED", "access to it is denied") } },
  { 5, { status = 404, body = said("MANIFEST_UNKNOWN", "manifest unknown") } },
}
local PASSING <const> = {
  { status = 429, headers = { ["Retry-After"] = "1" },
    body = said("TOOMANYREQUESTS", "slow down") },
  { status = 500 }, { status = 503, body = "<html>busy</html>" }, { drop = "reset" },
}

describe("an image of a registry", function()
  if not support.services() then
    it("comes from a real one", function() pending("no services: run tests/run.sh") end)
    return
  end

  local scratch, registry, name
  before_each(function()
    scratch = support.scratch()
    registry = faulty_registry.start()
    name = ("%s/base/x%s"):format(registry.host, scratch.dir:match("[^-]+$"):lower())
  end)
  after_each(function()
    registry.stop()
    scratch:remove()
  end)

  local function run(body)
    return scratch:recipe(([[
      job:docker_login { registry = %q, username = "AWS", password = job.secrets.ORCH_TEST_REGISTRY_PASSWORD }
      local name = %q
      %s]]):format(registry.host, name, body), {}, nil, "secrets = { 'ORCH_TEST_REGISTRY_PASSWORD' },")
  end

  local function publish(bytes)
    local result = run(([[
      job:write { path = "Dockerfile", text = "FROM busybox:1.36\nRUN echo %s > /id; head -c %d /dev/urandom > /big\n" }
      job:docker_build { tags = { name .. ":1" } }
      job:docker_push(name .. ":1")
      job:image_remove(name .. ":1")]]):format(scratch.dir, bytes or 1))
    assert.equal(0, result.code, result.all)
  end

  -- The daemon keeps what it has pulled.
  local function forget()
    assert(proc.run { timeout = 60, argv = { "/bin/sh", "-c",
      'docker rmi -f "$1"; docker builder prune -af', "sh", name .. ":1" } })
  end

  local ways = {
    pull = [[job:docker_pull(name .. ":1")]],
    build =
      [[job:write { path = "Dockerfile", text = "# base\nFROM " .. name .. ":1\nRUN ls /id\n" }
      job:docker_build { no_cache = true }]],
    ["classic build"] =
      [[job:write { path = "Dockerfile", text = "# base\nFROM " .. name .. ":1\nRUN ls /id\n" }
      job:docker_build { no_cache = true, classic = true }]],
  }
  for what, body in pairs(ways) do
    it(("that is refused ends a %s as that, at once"):format(what), function()
      publish()
      for _, each in ipairs(NO) do
        forget()
        registry.fault { match = "/manifests/", times = 99, status = each[2].status,
          body = each[2].body }
        local result = run(body)
        assert.equal(each[1], result.code, result.all)
        assert.matches(name, result.err, 1, true)
        if what ~= "pull" then
          assert.matches("Dockerfile:2: FROM " .. name, result.err, 1, true)
        end
        assert.is_nil(result.out:find("trying again", 1, true), result.all)
        assert.is_nil(result.all:find(PASSWORD, 1, true))
        registry.heal()
      end
    end)

    it(("that comes the second time is enough for a %s"):format(what), function()
      publish()
      for i, each in ipairs(what == "pull" and PASSING or { PASSING[1], PASSING[4] }) do
        forget()
        registry.fault { match = "/manifests/", times = i % 2 + 1, status = each.status,
          body = each.body,
          drop = each.drop, headers = each.headers }
        local result = run(body)
        assert.equal(0, result.code, result.all)
        registry.heal()
      end
    end)
  end

  for fault,
    wish in pairs { ["is refused once"] = { status = 500 }, ["breaks off"] = { drop = "reset" } } do
    it(("whose layer %s comes all the same"):format(fault), function()
      publish(300000)
      forget()
      registry.fault { match = "/blobs/", times = 1, status = wish.status, drop = wish.drop,
        after = 0 }
      local result = run(ways.build)
      assert.equal(0, result.code, result.all)
    end)
  end

  it("that is not what it says is taken by nobody", function()
    publish()
    for what, way in pairs { pull = ways.pull, build = ways.build } do
      forget()
      registry.fault { match = "/manifests/", times = 9, status = 200,
        body = "<html>who are you?</html>",
        headers = { ["Content-Type"] = "text/html" } }
      local result = run(way)
      assert.equal(4, result.code, result.all)
      assert.matches("a page for people", result.err, 1, true)
      if what == "build" then assert.matches("Dockerfile:2: FROM " .. name, result.err, 1, true) end
      registry.heal()
    end
    forget()
    registry.fault { match = "/blobs/", times = 9, status = 200, body = "garbage" }
    local result = run(ways.pull)
    assert.equal(4, result.code, result.all)
    assert.matches("not what its digest says", result.err, 1, true)
  end)

  it("that never comes ends a build as the registry's failure", function()
    publish()
    forget()
    registry.fault { match = "/manifests/", times = 999, status = 500 }
    local begun = task.clock()
    local result = run(ways.build)
    assert.equal(4, result.code, result.all)
    assert.matches("500 Internal Server Error", result.err, 1, true)
    assert.matches("(tried 5 times)", result.err, 1, true)
    assert.is_true(task.clock() - begun < 30)
    assert.same({}, fs.list(scratch:path("tmp")))
  end)
end)
