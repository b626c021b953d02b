local context = require "orch.docker.context"
local endpoint = require "orch.docker.endpoint"
local fs = require "orch.fs"
local hash = require "orch.hash"
local json = require "orch.json"
local ssh = require "orch.docker.ssh"

-- A job whose environment says all that orch's own might say otherwise.
local function job(env)
  local all = { DOCKER_HOST = "", DOCKER_CONTEXT = "", DOCKER_TLS = "", DOCKER_TLS_VERIFY = "",
    DOCKER_CERT_PATH = "",
    DOCKER_CONFIG = "/nowhere", DOCKER_API_VERSION = "" }
  for name, value in pairs(env or {}) do all[name] = value end
  return { env = all }
end

local function refused(pattern, kind, f, ...)
  local good, failure = pcall(f, ...)
  assert.is_false(good)
  assert.equal(kind, failure.kind)
  assert.matches(pattern, failure.message)
  return failure
end

describe("the docker endpoint", function()
  local dir
  before_each(function() dir = assert(fs.make_temp("/tmp/orch-spec-")) end)
  after_each(function() assert(fs.remove(dir)) end)

  it("is a unix socket", function()
    local found = endpoint.find(job { DOCKER_HOST = "unix:///a/b.sock" })
    assert.equal(1, #found)
    assert.equal("/a/b.sock", found[1].unix)
    assert.equal("DOCKER_HOST", found[1].source)
    refused("begins with /", "usage", endpoint.parse, "unix://a.sock", "DOCKER_HOST")
  end)

  it("is plain tcp on loopback only", function()
    for host,
      base in pairs { ["tcp://127.0.0.1:2375"] = "http://127.0.0.1:2375",
      ["tcp://localhost"] = "http://localhost:2375",
      ["tcp://[::1]:99/"] = "http://[::1]:99", ["127.0.0.1:5"] = "http://127.0.0.1:5",
      [":7"] = "http://localhost:7" } do
      assert.equal(base, endpoint.parse(host, "DOCKER_HOST").base)
    end
    for _,
      host in ipairs { "tcp://10.0.0.9:2375", "tcp://build.example:2375", "tcp://1270.0.0.1",
      "tcp://127.0.0.1.example" } do
      local failure = refused("without TLS", "usage", endpoint.find, job { DOCKER_HOST = host })
      assert.matches("DOCKER_TLS_VERIFY=1", failure.hint)
    end
  end)

  it("is tcp with TLS, also where a variable says 0", function()
    for _, name in ipairs { "ca.pem", "cert.pem", "key.pem" } do
      assert(fs.write(dir .. "/" .. name, "x"))
    end
    for name, value in pairs { DOCKER_TLS_VERIFY = "0", DOCKER_TLS = "1" } do
      local found =
        endpoint.find(job { DOCKER_HOST = "tcp://build.example", [name] = value,
        DOCKER_CERT_PATH = dir })[1]
      assert.equal("https://build.example:2376", found.base)
      assert.equal(dir .. "/ca.pem", found.ca_file)
      assert.equal(dir .. "/key.pem", found.key_file)
      assert.same({ host = "build.example", port = 2376, tls = true }, found.place)
    end
    assert(fs.remove(dir .. "/key.pem"))
    refused("both", "usage", endpoint.find,
      job { DOCKER_HOST = "tcp://h", DOCKER_TLS_VERIFY = "1", DOCKER_CERT_PATH = dir })
    assert(fs.remove(dir .. "/cert.pem"))
    assert.is_nil(endpoint.find(job { DOCKER_HOST = "tcp://h", DOCKER_TLS_VERIFY = "1",
      DOCKER_CONFIG = dir })[1].key_file)
  end)

  it("is another machine's socket over ssh", function()
    local found = endpoint.parse("ssh://me@build.example:2222/run/user/5/docker.sock",
      "DOCKER_HOST")
    assert.same({ user = "me", host = "build.example", port = "2222",
      socket = "/run/user/5/docker.sock" }, found.ssh)
    local argv = table.concat(ssh.command(found.ssh, "/t/s"), " ")
    assert.matches("^ssh %-nNT ", argv)
    assert.matches(" %-l me %-p 2222 %-L /t/s:/run/user/5/docker.sock %-%- build.example$", argv)
    assert.same({ host = "box", socket = "/var/run/docker.sock" },
      endpoint.parse("ssh://box", "DOCKER_HOST").ssh)
    refused("begins with '%-'", "usage", endpoint.parse, "ssh://-oProxyCommand=x", "DOCKER_HOST")
    refused("begins with '%-'", "usage", endpoint.parse, "ssh://-x@host", "DOCKER_HOST")
    refused("begins with '%-'", "usage", endpoint.parse, "ssh://@host", "DOCKER_HOST")
    local failure = refused("password", "usage", endpoint.parse, "ssh://me:pw-pw-pw@host",
      "DOCKER_HOST")
    assert.is_nil(failure.message:find("pw-pw", 1, true))
    refused("expected ssh", "usage", endpoint.parse, "ssh://a:b:c", "DOCKER_HOST")
    refused("white space", "usage", endpoint.parse, "ssh://a b", "DOCKER_HOST")
  end)

  it("is nothing else", function()
    for _, host in ipairs { "npipe:////./pipe/x", "fd://", "nonsense", "http://127.0.0.1:1" } do
      refused("known are unix", "usage", endpoint.find, job { DOCKER_HOST = host })
    end
  end)

  local function write_context(name, place, tls)
    local id = hash.sha256(name)
    assert(fs.make_dir(("%s/contexts/meta/%s"):format(dir, id)))
    assert(fs.write(("%s/contexts/meta/%s/meta.json"):format(dir, id),
      json.encode { Name = name, Metadata = {}, Endpoints = { docker = place } }))
    if not tls then return end
    assert(fs.make_dir(("%s/contexts/tls/%s/docker"):format(dir, id)))
    assert(fs.write(("%s/contexts/tls/%s/docker/ca.pem"):format(dir, id), "x"))
  end

  it("is a context's, named by a variable or config.json", function()
    write_context("far", { Host = "tcp://far.example:2376", SkipTLSVerify = false }, true)
    local found = endpoint.find(job { DOCKER_CONTEXT = "far", DOCKER_CONFIG = dir })[1]
    assert.equal("https://far.example:2376", found.base)
    assert.matches("/docker/ca.pem$", found.ca_file)
    assert.equal("docker context 'far'", found.source)

    assert(fs.write(dir .. "/config.json", '{"currentContext": "far"}'))
    assert.equal("far", (context.chosen(job { DOCKER_CONFIG = dir })))
    assert.is_nil((context.chosen(job { DOCKER_CONFIG = dir, DOCKER_CONTEXT = "default" })))
    assert.equal("/x",
      endpoint.find(job { DOCKER_CONFIG = dir, DOCKER_HOST = "unix:///x" })[1].unix)
  end)

  it("is no context that is not there, broken, or unchecked", function()
    write_context("lax", { Host = "tcp://far.example:2376", SkipTLSVerify = true })
    write_context("plain", { Host = "tcp://far.example:2376" })
    write_context("none", {})
    local function named(name) return job { DOCKER_CONTEXT = name, DOCKER_CONFIG = dir } end
    refused("skips the check", "usage", endpoint.find, named "lax")
    refused("without TLS", "usage", endpoint.find, named "plain")
    refused("no docker endpoint", "usage", endpoint.find, named "none")
    local failure = refused("there is no docker context 'lex'", "missing", endpoint.find,
      named "lex")
    assert.matches("did you mean 'lax'%? %(known: lax, none, plain%)", failure.message)
    assert(fs.write(dir .. "/config.json", "{"))
    refused("config.json: invalid JSON", "usage", endpoint.find, job { DOCKER_CONFIG = dir })
  end)
end)
