-- Pushes and pulls against a real daemon and a real registry, with faults between the two.
local faulty_registry = require "e2e.faulty_registry"
local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"

local PASSWORD <const> = os.getenv("ORCH_TEST_REGISTRY_PASSWORD")

describe("docker push and pull", function()
  if not support.services() then
    it("run on real services", function() pending("no services: run tests/run.sh") end)
    return
  end

  local scratch, registry, name, manifest
  before_each(function()
    scratch = support.scratch()
    registry = faulty_registry.start()
    name = ("%s/push/x%s"):format(registry.host, scratch.dir:match("[^-]+$"):lower())
    -- of layers the daemon itself tries uploads again
    manifest = ("PUT /v2%s/manifests/"):format(name:match("/.*$"))
  end)
  after_each(function()
    registry.stop()
    scratch:remove()
  end)

  -- Builds a small image, unlike any other, with these tags, and logs in; then the body.
  local function with_image(tags, body, how)
    how = how or {}
    local list = {}
    for i, tag in ipairs(tags) do list[i] = ("%q"):format(name .. ":" .. tag) end
    return scratch:recipe(([[
      job:docker_login { registry = %q, username = "AWS", password = job.secrets.ORCH_TEST_REGISTRY_PASSWORD }
      job:write { path = "Dockerfile", text = "FROM busybox:1.36\nRUN echo %s > /id; head -c %d /dev/urandom > /big\n" }
      job:docker_build { tags = { %s } }
      local name = %q
      %s]]):format(registry.host, scratch.dir, how.bytes or 1, table.concat(list, ", "), name, body),
      how.args, how.env,
      "secrets = { 'ORCH_TEST_REGISTRY_PASSWORD' },")
  end

  local function fails(result, code, ...)
    assert.equal(code, result.code, result.all)
    for _, words in ipairs { ... } do
      assert.is_truthy(result.err:find(words, 1, true),
        ("%q is not in:\n%s"):format(words, result.all))
    end
    assert.is_nil(result.all:find(PASSWORD, 1, true))
  end

  it("send what was named, and tell each digest", function()
    local result = with_image({ "1", "2", "3" }, [[
      local pushed = job:docker_push { name .. ":1", name .. ":2" }
      for _, each in ipairs(pushed) do job:log("pushed %s %s", each.tag, each.digest) end
      job:log("remote %s", tostring(job:image_exists { name .. ":1", remote = true } == pushed[1].digest))
      job:log("third %s", tostring(job:image_exists { name .. ":3", remote = true }))
      local all = job:docker_push { name, all_tags = true }
      job:log("all %d, third %s", #all, tostring(job:image_exists { name .. ":3", remote = true } == all[3].digest))
    ]])
    assert.equal(0, result.code, result.all)
    for _,
      words in ipairs { "pushed " .. name .. ":1 sha256:", "pushed " .. name .. ":2 sha256:",
      "remote true",
      "third false", "all 3, third true" } do
      assert.is_truthy(result.out:find(words, 1, true),
        ("%q is not in:\n%s"):format(words, result.out))
    end
    assert.is_nil(result.all:find(PASSWORD, 1, true))
    local found =
      assert(proc.run { argv = { "grep", "-rlF", "--", PASSWORD, scratch:path("state") } })
    assert.equal("", found.stdout)
  end)

  it("tell how far they are, five times a second at most", function()
    registry.stop()
    registry = faulty_registry.start("--drip", "0.02")
    name = registry.host .. name:match("/.*$")
    local result = with_image({ "1" }, "job:docker_push(name .. ':1')",
      { bytes = 5000000, args = { "--format", "json" } })
    assert.equal(0, result.code, result.all)
    local events, before = {}, -1
    for line in result.out:gmatch("[^\n]+") do
      local event = json.decode(line)
      if event.type == "step.progress" and event.id:find("docker_push", 1, true) then
        events[#events + 1] = event
      end
    end
    assert.is_true(#events >= 3, result.out)
    for i, event in ipairs(events) do
      assert.equal("push " .. name .. ":1", event.label)
      assert.is_true(event.total == nil or event.current <= event.total)
      assert.is_true(i == #events or event.clock - before >= 0.19)
      before = event.clock
    end
    assert.is_true(events[#events].total > 5000000)
    assert.equal(events[#events].total, events[#events].current)
    assert.is_truthy(result.out:find("pushed  5.", 1, true))
  end)

  it("try again what may pass, where the daemon does not", function()
    registry.fault { match = manifest, status = 500, times = 1 }
    registry.fault { match = manifest, drop = "reset", times = 1 }
    registry.fault { match = manifest, status = 503, body = "<html>busy</html>", times = 1 }
    local result = with_image({ "1" }, "job:docker_push(name .. ':1')")
    assert.equal(0, result.code, result.all)
    local _, again = result.out:gsub("trying again in", "")
    assert.equal(3, again, result.out)
  end)

  it("survive a reset in the middle of a layer", function()
    registry.fault { match = "PATCH ", drop = "reset", after = 100000 }
    local result = with_image({ "1" }, "job:docker_push(name .. ':1')", { bytes = 1000000 })
    assert.equal(0, result.code, result.all)
    assert.is_true(registry.count("^PATCH ") >= 2)
  end)

  it("wait as long as a busy registry says, where its words come through", function()
    registry.fault { match = manifest, status = 429, headers = { ["Retry-After"] = "4" },
      body = { errors = { { code = "TOOMANYREQUESTS", message = "retry after 4" } } } }
    local result = with_image({ "1" }, "job:docker_push(name .. ':1')")
    assert.equal(0, result.code, result.all)
    local waited = tonumber(result.out:match("trying again in ([%d.]+) s"))
    assert.is_true(waited >= 4 and waited < 6, result.out)
  end)

  it("take a no for a no", function()
    for status, case in pairs {
      [401] = { 3, "UNAUTHORIZED", "authentication required here" },
      [403] = { 3, "DENIED", "access to it is denied" },
      [404] = { 5, "NAME_UNKNOWN", "The repository with name 'x' does not exist in the registry" },
      [400] = { 6, "TAG_INVALID", "the tag is immutable" },
    } do
      local from = #registry.requests()
      registry.fault { match = manifest, status = status, times = 9,
        body = { errors = { { code = case[2], message = case[3] } } } }
      local result = with_image({ "1" }, "job:docker_push(name .. ':1')")
      fails(result, case[1], "docker push " .. name .. ":1", case[3])
      assert.is_nil(result.out:find("trying again", 1, true))
      assert.equal(1, registry.count("^PUT /v2/push.*/manifests/", from), status)
      registry.heal()
    end
  end)

  it("end when the registry goes on failing", function()
    registry.fault { match = manifest, status = 500, times = 99 }
    local result = with_image({ "1" }, "job:docker_push(name .. ':1')")
    fails(result, 4, "500 Internal Server Error", "(tried 5 times)")
  end)

  it("are cancelled as what they are, also while they wait", function()
    registry.fault { match = manifest, status = 500, times = 99 }
    local result = with_image({ "1" }, [[
      local good, failure = pcall(orch.timeout, 1.2, function() job:docker_push(name .. ":1") end)
      job:log("%s %s", tostring(good), failure.kind)]])
    assert.equal(0, result.code, result.all)
    assert.is_truthy(result.out:find("false timeout", 1, true), result.out)
    assert.same({}, scratch:leftovers(true))
  end)

  it("refuse a login for another registry, and send it nowhere", function()
    local result = with_image({ "1" }, [[
      job:docker_push { name .. ":1", auth = { registry = "other.example", username = "u",
        password = job.secrets.ORCH_TEST_REGISTRY_PASSWORD } }]])
    fails(result, 2, "the credential is for other.example")
    assert.equal(0, registry.count("manifests"))
  end)

  it("need a login where the registry wants one", function()
    local result = scratch:recipe(([[
      local ok, failure = pcall(job.docker_login, job, { registry = %q, username = "AWS", password = job.secrets.WRONG })
      job:log("login: %%s; %%s", failure.kind, failure.hint)
      job:docker_pull(%q)]]):format(registry.host, name .. ":1"), {}, { WRONG = "wrong-wrong-wrong" },
      "secrets = { 'WRONG' },")
    fails(result, 3, "docker pull " .. name .. ":1", "no basic auth credentials",
      "there is no login for " .. registry.host)
    assert.is_truthy(result.out:find("login: auth; the login of 'AWS' is from docker_login: is it right", 1, true),
      result.out)
    assert.is_nil(result.all:find("wrong-wrong-wrong", 1, true))
  end)

  it("find the logins of the docker command line", function()
    local hash = require "orch.hash"
    local config = scratch:path("config")
    scratch:write("config/config.json", json.encode { auths = {
      [registry.host] = { auth = hash.base64("AWS:" .. PASSWORD) } } })
    local result = with_image({ "1" }, "job:docker_push(name .. ':1')")
    assert.equal(0, result.code, result.all)
    result = scratch:recipe(([[local got = job:docker_pull(%q)
      job:log("pulled %%s", got[1].digest)]]):format(name .. ":1"), {}, { DOCKER_CONFIG = config })
    assert.equal(0, result.code, result.all)
    assert.is_truthy(result.out:find("pulled sha256:", 1, true))

    scratch:write("bin/docker-credential-spec",
      ("#!/bin/sh\nprintf '{\"Username\":\"AWS\",\"Secret\":\"%s\"}'\n"):format(PASSWORD))
    assert(fs.chmod(scratch:path("bin/docker-credential-spec"), tonumber("755", 8)))
    scratch:write("config/config.json", json.encode { credHelpers = { [registry.host] = "spec" } })
    result = scratch:recipe(("job:docker_pull(%q)"):format(name .. ":1"), {},
      { DOCKER_CONFIG = config, PATH = scratch:path("bin") .. ":" .. os.getenv("PATH") })
    assert.equal(0, result.code, result.all)
    assert.is_nil(result.all:find(PASSWORD, 1, true))
    result = scratch:recipe(("job:docker_pull(%q)"):format(name .. ":1"), {},
      { DOCKER_CONFIG = config })
    fails(result, 3, "docker-credential-spec", "cannot be run", config .. "/config.json")
  end)

  it("write a login only when asked", function()
    local body =
      [[job:docker_login { registry = %q, username = "AWS", password = job.secrets.ORCH_TEST_REGISTRY_PASSWORD%s }]]
    local config = scratch:path("config")
    local function login(more)
      local result = scratch:recipe(body:format(registry.host, more), {},
        { DOCKER_CONFIG = config },
        "secrets = { 'ORCH_TEST_REGISTRY_PASSWORD' },")
      assert.equal(0, result.code, result.all)
    end
    login("")
    assert.is_nil(fs.stat(config))
    login(", write_config = true")
    local pulled =
      assert(proc.run { argv = { "/usr/bin/docker", "--config", config, "pull", name .. ":none" } })
    assert.is_truthy(pulled.stdout:find("not found", 1, true), pulled.stdout)
  end)

  it("refuse a password that is no secret", function()
    local result =
      scratch:recipe([[job:docker_login { registry = "r.example", username = "u", password = "plain-plain" }]])
    assert.equal(2, result.code, result.all)
    assert.is_truthy(result.err:find("must be a secret", 1, true), result.err)
    assert.is_nil(result.all:find("plain-plain", 1, true))
  end)

  it("bring images here, under names, into archives and back", function()
    local result = with_image({ "1" }, [[
      local digest = job:docker_push(name .. ":1")[1].digest
      local id = job:image_exists(name .. ":1")
      job:image_save { images = name .. ":1", file = "x.tar" }
      job:image_remove { name .. ":1" }
      job:log("gone %s", tostring(job:image_exists(name .. ":1")))
      job:log("loaded %s", job:image_load("x.tar")[1])
      job:image_tag { source = name .. ":1", tags = name .. ":tagged" }
      job:image_remove { name .. ":1", name .. ":tagged", name .. ":never" }
      local pulled = job:docker_pull(name .. "@" .. digest)
      job:log("same %s", tostring(pulled[1].id == id and pulled[1].digest == digest))
      job:image_retag { source = name .. ":1", tags = { "again" } }
      job:log("retagged %s", tostring(job:image_exists { name .. ":again", remote = true } == digest))
      job:log("os %s", job:image_inspect(pulled[1].id).Os)
      job:image_remove(name .. "@" .. digest)
      local found, failure = pcall(job.image_inspect, job, name .. ":1")
      job:log("inspect %s", failure.kind)
      found, failure = pcall(job.image_save, job, { images = { "never/was:1" }, file = "y.tar" })
      job:log("save %s", failure.kind)
      found, failure = pcall(job.docker_pull, job, { name .. ":again", platform = "linux/s390x" })
      job:log("platform %s", failure.kind)]])
    assert.equal(0, result.code, result.all)
    for _,
      words in ipairs { "gone false", "loaded " .. name .. ":1", "same true", "retagged true",
      "os linux",
      "inspect missing", "save missing", "platform missing" } do
      assert.is_truthy(result.out:find(words, 1, true),
        ("%q is not in:\n%s"):format(words, result.out))
    end
  end)
end)
