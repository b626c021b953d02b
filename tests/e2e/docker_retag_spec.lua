-- A registry that orch speaks to itself: faults, redirects, tokens that expire, answers that are
-- not what they say.
local faulty_registry = require "e2e.faulty_registry"
local hash = require "orch.hash"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"

local PASSWORD <const> = "a-password-of-mine"
local BASIC <const> = "Basic " .. hash.base64("me:" .. PASSWORD)
local MANIFEST <const> = "/v2/x/y/manifests/"

describe("image_retag", function()
  local scratch, upstream, registry, other
  before_each(function()
    scratch = support.scratch { PASSWORD = PASSWORD, WRONG = "wrong-wrong" }
  end)
  after_each(function() scratch:remove() end)

  -- With two registries, both ended before the test is looked over.
  local function case(name, f)
    it(name, function()
      local _ <close> = setmetatable({}, { __close = function()
        for _, each in ipairs { registry, other } do each.stop() end
        upstream:cancel()
        upstream:wait()
      end })
      upstream =
        assert(proc.start { argv = { "/usr/bin/python3", support.root .. "/tests/e2e/servers.py",
        "bearer", "me",
        PASSWORD } })
      local host = "127.0.0.1:" .. assert(upstream:read()):match("%d+")
      registry, other = faulty_registry.before(host), faulty_registry.before(host)
      f()
    end)
  end

  local function retag(more)
    local result = scratch:recipe(([[
      local host = %q
      local auth = { registry = host, username = "me", password = job.secrets.PASSWORD }
      local got = job:image_retag { source = host .. "/x/y:1", tags = { "2", "3" }, auth = auth %s }
      job:log("digest %%s", got.digest)]]):format(registry.host, more or ""), {}, nil,
      "secrets = { 'PASSWORD', 'WRONG' },")
    assert.is_nil(result.all:find(PASSWORD, 1, true))
    return result
  end

  local function says(result, code, ...)
    assert.equal(code, result.code, result.all)
    for _, words in ipairs { ... } do assert.matches(words, result.all, 1, true) end
  end

  local function sent_with(each)
    for _, header in ipairs(each.headers) do
      if header[1]:lower() == "authorization" then return header[2] end
    end
  end

  case("has a token made anew when it has expired", function()
    registry.fault { match = "PUT " .. MANIFEST .. "3", status = 401, headers = {
      ["WWW-Authenticate"] =
        ('Bearer realm="http://%s/token",service="spec",scope="repository:x/y:pull,push"')
        :format(registry.host) } }
    says(retag(), 0, "digest sha256:")
    assert.equal(2, registry.count("/token"))
  end)

  case("gives up a registry that takes no token", function()
    registry.fault { match = MANIFEST, times = 9, status = 401, headers = {
      ["WWW-Authenticate"] =
        ('Bearer realm="http://%s/token",service="spec"'):format(registry.host) } }
    says(retag(), 3, "HTTP status: 401", "the login of 'me' is from option auth: is it right")
    assert.equal(1, registry.count("/token"))
  end)

  case("says whose password was wrong", function()
    says(retag ", auth = { registry = host, username = 'me', password = job.secrets.WRONG }", 3,
      "HTTP status: 401 from http://" .. registry.host .. "/token",
      "the login of 'me' is from option auth")
  end)

  case("waits as long as a busy registry says, but no hour", function()
    registry.fault { match = MANIFEST .. "1", status = 429, headers = { ["Retry-After"] = "3" } }
    registry.fault { match = MANIFEST .. "2", status = 503 }
    local result = retag()
    says(result, 0, "HTTP status: 429; trying again in", "HTTP status: 503; trying again in")
    assert.is_true(tonumber(result.out:match("429; trying again in ([%d.]+)")) >= 3, result.out)
    registry.fault { match = MANIFEST .. "1", status = 429, headers = { ["Retry-After"] = "3600" } }
    says(retag(), 4, "HTTP status: 429", "the registry asks to wait 3600 s")
  end)

  case("sends a login to no other server, whatever the registry says", function()
    local away = ("http://%s%s"):format(other.host, MANIFEST .. "1")
    registry.fault { match = MANIFEST .. "1", status = 401,
      headers = { ["WWW-Authenticate"] = 'Basic realm="r"' } }
    registry.fault { match = MANIFEST .. "1", status = 307, headers = { Location = away } }
    says(retag(), 3, "HTTP status: 401")
    local seen = registry.requests()
    assert.equal(BASIC, sent_with(seen[#seen]))
    assert.equal(1, other.count("."))
    assert.is_nil(sent_with(other.requests()[1]))
    -- One that asks for nothing is good enough: its manifest is put where it belongs.
    registry.fault { match = MANIFEST .. "1", status = 307, headers = { Location = away } }
    other.fault { match = MANIFEST .. "1", status = 200, body = '{"schemaVersion": 2}',
      headers = { ["Content-Type"] = "application/vnd.oci.image.index.v1+json" } }
    says(retag(), 0, "digest sha256:" .. hash.sha256('{"schemaVersion": 2}'))
    assert.is_nil(sent_with(other.requests()[2]))
    -- A PUT goes nowhere else.
    registry.fault { match = "PUT " .. MANIFEST .. "2", status = 307,
      headers = { Location = away } }
    says(retag(), 4, "HTTP status: 307")
    assert.equal(2, other.count("."))
  end)

  case("sends a password to a token service only where nobody can read it on the way", function()
    registry.fault { match = MANIFEST .. "1", status = 401, headers = {
      ["WWW-Authenticate"] = 'Bearer realm="http://token.example/t",service="s"' } }
    says(retag(), 3, "wants the login sent to http://token.example/t, which has no TLS")
  end)

  case("takes no manifest for another", function()
    registry.fault { match = MANIFEST .. "1", status = 200, body = '{"schemaVersion": 2}',
      headers = {
      ["Docker-Content-Digest"] = "sha256:" .. ("0"):rep(64) } }
    says(retag(), 4, "the manifest that came is sha256:", "not sha256:0000")
    registry.fault { match = MANIFEST .. "sha256:", status = 200, body = '{"schemaVersion": 2}' }
    says(retag(", source = host .. '/x/y@sha256:" .. ("1"):rep(64) .. "'"), 4, "not sha256:1111")
    registry.fault { match = MANIFEST .. "1", status = 200, drop = "truncate",
      body = json.encode { a = ("x"):rep(999) } }
    says(retag(), 0, "trying again in", "digest sha256:")
    assert.equal(0, registry.count("PUT .*" .. ("0"):rep(64)))
  end)
end)
