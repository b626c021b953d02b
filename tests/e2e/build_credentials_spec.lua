local builds = require "e2e.builds"
local proc = require "orch.proc"
local support = require "e2e.support"

-- The login to the test registry, as a recipe says it.
local function login()
  return ("{ registry = %q, username = %q, password = require 'orch.secret'.new(%q, 'REGISTRY') }")
    :format(os.getenv("ORCH_TEST_REGISTRY"), os.getenv("ORCH_TEST_REGISTRY_USER"),
      os.getenv("ORCH_TEST_REGISTRY_PASSWORD"))
end

describe("docker_build, given what others must not see,", function()
  if not support.services() then
    it("builds on a real daemon", function() pending("no services: run tests/run.sh") end)
    return
  end

  local site, scratch
  before_each(function()
    site = builds.site()
    scratch = site.scratch
  end)
  after_each(function() scratch:remove() end)

  it("gives secrets to the steps that mount them, and to nothing else", function()
    local value = "s3cret-" .. scratch.dir:match("[^-]+$")
    site:put("token.txt", value .. "-file\n")
    site:put("Dockerfile", [[
FROM busybox:1.36
RUN --mount=type=secret,id=tok --mount=type=secret,id=file cat /run/secrets/tok && sha256sum /run/secrets/tok /run/secrets/file
RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent
]])
    site:put(".dockerignore", "token.txt\n")
    local result =
      site:good(([[ no_cache = true, secrets = { tok = job.secrets.SPEC_TOKEN, file = { file = %q } } ]])
      :format(site.context .. "/token.txt"), { SPEC_TOKEN = value }, "secrets = { 'SPEC_TOKEN' },")
    assert.is_nil(result.all:find(value, 1, true), result.all)
    local sum = assert(proc.run { argv = { "sha256sum" }, input = value }).stdout:match("%x+")
    assert.matches(sum, result.out, 1, true)
    assert.matches("%*%*%*", result.out)
    assert.is_nil(site:docker("/images/" .. site:tag() .. "/history").body:find(value, 1, true))
    local found = assert(proc.run { argv = { "grep", "-rlF", "--", value, scratch:path("state") } })
    assert.equal("", found.stdout)

    site:put("Dockerfile", "FROM busybox:1.36\nRUN --mount=type=secret,id=need,required=true true\n")
    result = site:build("no_cache = true")
    assert.equal(1, result.code, result.all)
    assert.matches("secret need", result.err)
    result = site:build("secrets = { tok = 'plain' }")
    assert.equal(2, result.code, result.all)
    assert.matches("secret 'tok' must be a secret", result.err, 1, true)
  end)

  it("pulls a private base image with the login it is given", function()
    local base = ("%s/%s/%s"):format(os.getenv("ORCH_TEST_REGISTRY"),
      os.getenv("ORCH_TEST_ECR_ALIAS"), site:tag("base"))
    site:put("Dockerfile", "FROM busybox:1.36\nLABEL x=" .. scratch.dir .. "\n")
    local pushed = scratch:recipe(([[
    job:docker_build { context = %q, tags = { %q } }
    job:docker_push { tags = { %q }, auth = %s }]]):format(site.context, base, base, login()))
    assert.equal(0, pushed.code, pushed.all)
    site:docker("/images/" .. base .. "?force=1", "DELETE")
    site:put("Dockerfile", "FROM " .. base .. "\nRUN echo private\n")
    local without = site:build("no_cache = true, pull = true")
    assert.not_equal(0, without.code, without.all)
    site:good("no_cache = true, pull = true, auth = " .. login())
    site:good("no_cache = true, pull = true, classic = true, auth = { " .. login() .. " }")
  end)

  it("finds the login for an image that an argument or the platform names, or that the cache is taken from",
    function()
    local host = os.getenv("ORCH_TEST_REGISTRY")
    local base = ("%s/%s/%s"):format(host, os.getenv("ORCH_TEST_ECR_ALIAS"), site:tag("named"))
    site:put("Dockerfile", "ARG HOST=none\nARG BASE=${HOST}/x\nFROM ${BASE}\nRUN echo " .. base .. "\n")
    local made = scratch:recipe(([[
      local base = %q
      job:docker_login { %q, username = "AWS", password = job.secrets.ORCH_TEST_REGISTRY_PASSWORD }
      job:image_tag { source = "busybox:1.36", tags = { base } }
      job:docker_push { base }
      job:image_remove { base }
      local build = { context = %q, tags = { base }, pull = true, inline_cache = true, args = { BASE = base } }
      job:docker_build(build)
      build.classic, build.inline_cache = true, false
      job:docker_build(build)
      job:docker_push { base }
      job:image_remove { base }
      local failed = pcall(job.docker_build, job, { context = %q, pull = true, args = { BASE = base .. "9" } })
      assert(not failed)
      job:docker_build { context = %q, args = { BASE = "busybox:1.36" }, cache_from = { base } }
      local of_system = base:gsub(":[^:]*$", ":linux")
      job:image_tag { source = "busybox:1.36", tags = { of_system } }
      job:docker_push { of_system }
      job:image_remove { of_system }
      job:docker_build { context = %q, pull = true,
        dockerfile = "FROM " .. of_system:gsub("linux$", "${TARGETOS}") .. "\n" }]])
      :format(base, host, site.context, site.context, site.context, site.context), nil, nil,
      "secrets = { 'ORCH_TEST_REGISTRY_PASSWORD' },")
    assert.equal(0, made.code, made.all)
    assert.matches("Dockerfile:3: FROM " .. base .. "9: ", made.out, 1, true)
    assert.matches("importing cache manifest from " .. base:gsub("%p", "%%%0") .. "  %d", made.out)
  end)

  it("takes the cache from an image that was pushed with it", function()
    local image = ("%s/%s/%s"):format(os.getenv("ORCH_TEST_REGISTRY"),
      os.getenv("ORCH_TEST_ECR_ALIAS"), site:tag("cache"))
    site:put("Dockerfile",
      "FROM busybox:1.36\nRUN echo run for the first time in " .. scratch.dir .. "\n")
    local pushed = scratch:recipe(([[
    job:docker_build { context = %q, tags = { %q }, inline_cache = true }
    job:docker_push { tags = { %q }, auth = %s }]]):format(site.context, image, image, login()))
    assert.equal(0, pushed.code, pushed.all)
    site:docker("/images/" .. image .. "?force=1", "DELETE")
    assert.equal(200, site:docker("/build/prune?all=true", "POST").status)
    local result = site:good(("cache_from = { %q }, auth = %s"):format(image, login()))
    assert.matches("RUN echo run for the first time in %S+  cached", result.out)
  end)

  it("gives an ssh agent's socket to the step that mounts it", function()
    site:put("Dockerfile",
      "FROM busybox:1.36\nRUN --mount=type=ssh,required=true test -S $SSH_AUTH_SOCK && echo there\n")
    site:shell [[python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("../agent")']]
    local agent = scratch:path("agent")
    assert.matches("there", site:good(("no_cache = true, ssh = %q"):format(agent)).out)
    for options, wanted in pairs {
      ["no_cache = true, ssh = true"] = { 2, "no agent 'default'" },
      ["no_cache = true, ssh = '/nowhere/agent'"] = { 5, "no socket /nowhere/agent" },
      [("ssh = { key = %q }"):format(site.context .. "/Dockerfile")] = { 2,
        "is no agent's socket but a file" },
      ["no_cache = true"] = { 1, "no ssh agent default\n",
        "try: forward an agent to the build: ssh = true" },
    } do
      local result = site:build(options, { SSH_AUTH_SOCK = "" })
      assert.equal(wanted[1], result.code, result.all)
      for i = 2, #wanted do assert.matches(wanted[i], result.err, 1, true) end
    end
  end)
end)
