-- Registries that are not plain: TLS under a private authority, Docker's token flow; and orch
-- doctor.
local engine = require "e2e.engine"
local fs = require "orch.fs"
local hash = require "orch.hash"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"

local ADDRESS <const> = "10.99.0.1" -- loopback addresses are never checked by dockerd

local function sh(script, ...)
  return assert(proc.run { argv = { "/bin/sh", "-c", script, "sh", ... } })
end

local function says(result, code, ...)
  assert.equal(code, result.code, result.all)
  for _, words in ipairs { ... } do
    assert.is_truthy(result.all:find(words, 1, true),
      ("%q is not in:\n%s"):format(words, result.all))
  end
end

describe("a registry", function()
  if not support.services() then
    it("is real", function() pending("no services: run tests/run.sh") end)
    return
  end

  local scratch, server, host
  before_each(function() scratch = support.scratch() end)
  after_each(function()
    if server then
      server:cancel()
      server:wait()
      server = nil
    end
    scratch:remove()
  end)

  local function start(address, argv)
    server = assert(proc.start { argv = argv })
    host = address .. ":" .. assert(server:read()):match("%d+")
  end

  local function stop()
    server:cancel()
    server:wait()
    server = nil
  end

  -- Of a private authority, for this name and so many days, both in the scratch directory.
  local function certificate(name, days)
    if sh("ip route show default").stdout ~= "" then pending "this network is somebody's" end
    sh("ip address add $1/32 dev lo", ADDRESS)
    local made = sh([[cd "$1" && new="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
      openssl req -x509 $new -days 2 -keyout ca.key -out ca.pem -subj /CN=ca -addext subjectAltName=DNS:ca &&
      openssl req $new -keyout server.key -out server.csr -subj /CN=server -addext "subjectAltName=$2" &&
      openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -copy_extensions copy -days "$3" -out server.pem]],
      scratch.dir, name, tostring(days))
    assert.equal(0, made.code, made.stdout)
  end

  local function start_tls()
    start(ADDRESS, { support.root .. "/tests/services/registry_proxy.py",
      os.getenv("ORCH_TEST_REGISTRY"), "--address", ADDRESS, "--tls", scratch:path("server.pem"),
      scratch:path("server.key") })
  end

  -- Makes its authority known to dockerd, which reads that with each request, and to orch.
  local function trust()
    local certs = "/etc/docker/certs.d/" .. host
    assert(fs.make_dir(certs))
    assert(fs.write(certs .. "/ca.crt", assert(fs.read(scratch:path("ca.pem")))))
    return setmetatable({}, { __close = function() assert(fs.remove(certs)) end })
  end

  it("under a private authority is believed where dockerd believes it", function()
    certificate("IP:" .. ADDRESS, 2)
    start_tls()
    local name = ("%s/tls/x%s"):format(host, scratch.dir:match("[^-]+$"):lower())
    local body = ([[
      local auth = { registry = %q, username = "AWS", password = job.secrets.ORCH_TEST_REGISTRY_PASSWORD }
      local name = %q
      job:image_tag { source = "busybox:1.36", tags = name .. ":1" }
      local digest = job:docker_push { name .. ":1", auth = auth }[1].digest
      job:docker_login { auth.registry, username = auth.username, password = auth.password }
      job:image_retag { source = name .. ":1", tags = "2" }
      job:log("same %%s", tostring(job:image_exists { name .. ":2", remote = true } == digest))
      job:image_remove { name .. ":1" }
      job:docker_pull(name .. ":2")
      job:image_remove { name .. ":2" }]]):format(host, name)
    local secrets = "secrets = { 'ORCH_TEST_REGISTRY_PASSWORD' },"
    local unknown = scratch:recipe(body, {}, {}, secrets)
    local known
    do
      local _ <close> = trust()
      known = scratch:recipe(body, {}, {}, secrets)
    end
    stop()
    says(unknown, 4, "x509", "certs.d")
    assert.is_nil(unknown.out:find("trying again", 1, true))
    says(known, 0, "same true")
  end)

  for _, case in ipairs {
    { "is out of date", "IP:" .. ADDRESS, -1, "certificate has expired",
      "HOST needs a new certificate; or is a clock wrong?" },
    { "is made for another address", "IP:10.99.0.2", 2,
      "certificate is valid for 10.99.0.2, not " .. ADDRESS,
      "HOST's certificate must be made for the name or address that it is called by" },
    { "is made for another name", "DNS:registry.example", 2, "doesn't contain any IP SANs",
      "HOST's certificate must be made for the name or address that it is called by" },
  } do
    it("whose certificate " .. case[1] .. " is refused by all, with what to do", function()
      certificate(case[2], case[3])
      start_tls()
      local _ <close> = trust()
      local result = scratch:recipe(([[
        local host = %q
        local name = host .. "/tls/bad:1"
        job:image_tag { source = "busybox:1.36", tags = name }
        for verb, options in pairs { docker_push = { name }, docker_pull = { name },
          image_exists = { name, remote = true }, image_retag = { source = name, tags = "2" },
          docker_login = { host, username = "u", password = job.secrets.PASSWORD } } do
          local good, failure = pcall(job[verb], job, options)
          job:log("%%s: %%s; %%s; try: %%s", verb, failure.kind, failure.message, failure.hint)
        end
        job:image_remove { name }
        job:docker_pull { name }]]):format(host), {}, { PASSWORD = "a-password" }, "secrets = { 'PASSWORD' },")
      stop()
      local advice = "try: " .. case[5]:gsub("HOST", host)
      says(result, 4, "docker pull " .. host, case[4], advice)
      for _, verb in ipairs { "docker_push", "docker_pull", "image_exists", "docker_login" } do
        assert.matches(verb .. ": net; [^\n]*x509: [^\n]*" .. case[4]:gsub("%p", "%%%0"), result.out)
      end
      local _, count = result.out:gsub("; " .. advice:gsub("%p", "%%%0") .. "\n", "")
      assert.equal(5, count, result.out)
      assert.is_nil(result.all:find("trying again", 1, true))
    end)
  end

  describe("with tokens", function()
    local PASSWORD <const> = "bearer-password"
    local function recipe(body)
      start("127.0.0.1",
        { "/usr/bin/python3", support.root .. "/tests/e2e/servers.py", "bearer", "me", PASSWORD })
      local result = scratch:recipe(("local host = %q\n%s"):format(host, body), {},
        { PASSWORD = PASSWORD, WRONG = "wrong-wrong" },
        "secrets = { 'PASSWORD', 'WRONG' },")
      stop()
      assert.is_nil(result.all:find(PASSWORD, 1, true))
      assert.is_nil(result.all:find("a-refresh-token", 1, true))
      return result
    end

    it("takes a password for one", function()
      says(recipe [[
        local auth = { registry = host, username = "me", password = job.secrets.PASSWORD }
        local source = host .. "/x/y:1"
        local digest = job:image_retag { source = source, tags = { "2", host .. "/x/y:3" }, auth = auth }.digest
        job:log("same %s", tostring(job:image_exists { host .. "/x/y:3", remote = true, auth = auth } == digest))
        job:log("none %s", tostring(job:image_exists { host .. "/x/y:9", remote = true, auth = auth }))
        job:image_retag { source = host .. "/x/y:9", tags = "1", auth = auth }]], 5, "same true", "none false",
        "manifest unknown")
    end)

    it("gives an identity token at login, which serves from then on", function()
      says(recipe [[
        job:docker_login { host, username = "me", password = job.secrets.PASSWORD, write_config = true }
        job:image_retag { source = host .. "/x/y:1", tags = "2" }]], 0, "logged in", "/x/y:2  sha256:")
      local config = os.getenv("DOCKER_CONFIG") .. "/config.json"
      local entry = json.decode(fs.read(config)).auths[host]
      assert(fs.remove(config))
      assert.equal("a-refresh-token", entry.identitytoken)
      assert.equal("me:", hash.unbase64(entry.auth))
    end)

    it("says no to a wrong password", function()
      says(recipe [[job:image_retag { source = host .. "/x/y:1", tags = "2",
        auth = { registry = host, username = "me", password = job.secrets.WRONG } }]], 3, "401")
      says(recipe "job:docker_login { host, username = 'me', password = job.secrets.WRONG }", 3,
        "docker login")
    end)
  end)
end)

describe("orch doctor", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  local function by_name(result)
    local checks = {}
    for _, each in ipairs(json.decode(result.out).checks) do checks[each.name] = each end
    return checks
  end

  it("tells what is missing, and how to mend it", function()
    scratch:write("config/config.json", '{"credsStore": "nowhere"}')
    local result = scratch:orch({ "doctor", "--json" },
      { DOCKER_HOST = "unix://" .. scratch:path("none.sock"),
      DOCKER_CONFIG = scratch:path("config"), AWS_ACCESS_KEY_ID = "AKIAXXXXXXXX",
      AWS_SECRET_ACCESS_KEY = false })
    assert.equal(7, result.code, result.all)
    local checks = by_name(result)
    assert.equal("missing", checks.docker.status)
    assert.is_truthy(checks.docker.text:find("none.sock", 1, true))
    assert.is_string(checks.docker.mend)
    assert.matches("docker%-credential%-nowhere", checks.logins.text)
    assert.equal("missing", checks.AWS.status)
    assert.is_nil(result.all:find("AKIAXXXXXXXX", 1, true))
    for _, name in ipairs { "programs", "git", "state", "kernel", "TLS" } do
      assert.equal("ok", checks[name].status, name)
    end
    result = scratch:orch({ "doctor" }, { DOCKER_HOST = "tcp://10.0.0.1:1" })
    assert.equal(7, result.code)
    assert.matches("mend: set DOCKER_TLS_VERIFY=1", result.out)
    assert.same({}, scratch:leftovers())
  end)

  it("is content with a real daemon", function()
    if not support.services() then pending "no services: run tests/run.sh" end
    local result = scratch:orch { "doctor", "--json" }
    assert.equal(0, result.code, result.all)
    local docker = by_name(result).docker
    assert.equal(engine.agreed(), docker.api)
    assert.equal("BuildKit", docker.builder)
    assert.is_false(docker.rootless)
    assert.is_nil(result.all:find(os.getenv("AWS_SECRET_ACCESS_KEY"), 1, true))
    result = scratch:orch { "doctor" }
    assert.matches("nothing is missing", result.out)
  end)
end)
