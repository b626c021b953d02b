-- What a push does not send again, and what it does, against a real daemon and a real registry.
local faulty_registry = require "e2e.faulty_registry"
local fs = require "orch.fs"
local hash = require "orch.hash"
local http = require "orch.http"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"

local PASSWORD <const> = os.getenv("ORCH_TEST_REGISTRY_PASSWORD")
local INDEX <const> = "application/vnd.docker.distribution.manifest.list.v2+json"
local MANIFEST <const> = "application/vnd.docker.distribution.manifest.v2+json"
local UNCHANGED <const> = "(unchanged: the registry has it)"

describe("a push of what its registry has", function()
  if not support.services() then
    it("is of real services", function() pending("no services: run tests/run.sh") end)
    return
  end

  local scratch, registry, path, name, seen
  before_each(function()
    scratch = support.scratch()
    registry = faulty_registry.start()
    path = "unchanged/x" .. scratch.dir:match("[^-]+$"):lower()
    name = registry.host .. "/" .. path
    scratch.env.DOCKER_CONFIG = scratch:path("config")
    scratch:write("config/config.json", json.encode { auths = {
      [registry.host] = { auth = hash.base64("AWS:" .. PASSWORD) } } })
    seen = 0
  end)
  after_each(function()
    registry.stop()
    local images = proc.run { argv = { "docker", "images", "-q", "--no-trunc", "*/" .. path .. "*" } }
    for id in images.stdout:gmatch("%S+") do
      for tag in proc.run { argv = { "docker", "inspect", "-f", "{{range .RepoTags}}{{.}} {{end}}",
        id } }.stdout:gmatch("%S+") do
        if tag:find(path, 1, true) then proc.run { argv = { "docker", "rmi", tag } } end
      end
    end
    scratch:remove()
  end)

  -- Runs a body; how many manifests it put there.
  local function run(body, args)
    local result = scratch:recipe("local name = " .. ("%q"):format(name) .. "\n" .. body, args)
    assert.equal(0, result.code, result.all)
    local from = seen
    seen = #registry.requests()
    return registry.count("^PUT .*/manifests/", from), result.out
  end

  local function say(out, times)
    local _, count = out:gsub(UNCHANGED:gsub("%p", "%%%0"), "")
    assert.equal(times, count, out)
  end

  -- A request of the spec's own, behind the proxy.
  local function ask(method, what, body, kind)
    return assert(http.request { method = method, body = body,
      url = ("http://%s/v2/%s/%s"):format(os.getenv("ORCH_TEST_REGISTRY"), path, what),
      basic = { user = "AWS", password = PASSWORD },
      headers = { Accept = MANIFEST, ["Content-Type"] = kind } })
  end

  -- Both tags of one image, pushed.
  local function pushed()
    return run [[job:image_tag { source = "busybox:1.36", tags = { name .. ":1", name .. ":2" } }
      job:docker_push { name .. ":1", name .. ":2" }]]
  end

  it("puts nothing, and is told and recorded as a push is", function()
    assert.equal(2, (pushed()))
    local digest = ask("HEAD", "manifests/1").headers["docker-content-digest"]
    local puts, out = run([[local list = job:docker_push { name .. ":1", name .. ":2" }
      for _, each in ipairs(list) do job:log("got %s %s", each.tag, each.digest) end
      job:docker_push { name, all_tags = true }]], { "--format", "json" })
    assert.equal(0, puts)
    say(out, 4)
    local artifacts = {}
    for line in out:gmatch("[^\n]+") do
      local event = json.decode(line)
      if event.type == "artifact" then artifacts[#artifacts + 1] = event end
    end
    assert.equal(4, #artifacts)
    for i, each in ipairs(artifacts) do
      assert.equal(("%s:%d"):format(name, (i - 1) % 2 + 1), each.name)
      assert.equal(digest, each.digest)
    end
    for tag = 1, 2 do
      assert.is_truthy(out:find(("got %s:%d %s"):format(name, tag, digest), 1, true))
    end
    assert.is_nil(out:find(PASSWORD, 1, true))
  end)

  it("is asked for in one request a tag", function()
    pushed()
    local from = #registry.requests()
    run [[job:docker_push { name .. ":1", name .. ":2" }]]
    local list = registry.requests()
    assert.equal(from + 2, #list)
    for tag = 1, 2 do
      assert.equal(("HEAD /v2/%s/manifests/%d"):format(path, tag), list[from + tag].subject)
    end
  end)

  it("is asked for with a token where the registry wants one", function()
    pushed()
    local subject = ("HEAD /v2/%s/manifests/1"):format(path)
    registry.fault { match = subject, status = 401, headers = {
      ["WWW-Authenticate"] = ('Bearer realm="http://%s/token",service="s"'):format(registry.host) } }
    registry.fault { match = "GET /token", status = 200, body = { token = "a-token" } }
    registry.fault { match = subject, status = 200, headers = { ["Content-Type"] = MANIFEST,
      ["Docker-Content-Digest"] = ask("HEAD", "manifests/1").headers["docker-content-digest"] } }
    local from = #registry.requests()
    local puts, out = run [[job:docker_push(name .. ":1")]]
    assert.equal(0, puts)
    say(out, 1)
    local basic = "Basic " .. hash.base64("AWS:" .. PASSWORD)
    for i, login in ipairs { basic, basic, "Bearer a-token" } do
      local sent = {}
      for _, header in ipairs(registry.requests()[from + i].headers) do
        if header[1]:lower() == "authorization" then sent[#sent + 1] = header[2] end
      end
      assert.same({ login }, sent)
    end
  end)

  it("is pushed where its tag is another's, or gone, or has not been there", function()
    pushed()
    -- Another image under the name, here and there; then the first one again.
    local puts, out = run [[job:image_tag { source = "alpine:3.19", tags = { name .. ":1" } }
      job:docker_push { name .. ":1", name .. ":2" }
      job:image_tag { source = "busybox:1.36", tags = { name .. ":1" } }
      job:docker_push { name .. ":1", name .. ":2" }]]
    assert.equal(2, puts)
    say(out, 2)
    local digest = ask("HEAD", "manifests/1").headers["docker-content-digest"]
    assert.equal(202, ask("DELETE", "manifests/" .. digest).status)
    assert.equal(404, ask("HEAD", "manifests/1").status)
    assert.equal(2, (run [[job:docker_push { name .. ":1", name .. ":2" }]]))
    puts, out = run [[job:image_tag { source = name .. ":1", tags = { name .. ":3" } }
      job:docker_push { name .. ":1", name .. ":3" }]]
    assert.equal(1, puts)
    say(out, 1)
    assert.equal(digest, ask("HEAD", "manifests/3").headers["docker-content-digest"])
  end)

  it("is pushed to another repository and another registry, whose answers are their own", function()
    pushed()
    local asked = #registry.requests()
    local puts, out = run [[job:image_tag { source = name .. ":1", tags = { name .. "/more:1" } }
      job:docker_push { name .. ":1", name .. "/more:1" }]]
    assert.equal(1, puts)
    say(out, 1)
    -- What was never there is not asked for.
    assert.equal(0, registry.count("^HEAD .*/more/manifests", asked))
    local other = faulty_registry.start()
    scratch:write("config/config.json", json.encode { auths = {
      [other.host] = { auth = hash.base64("AWS:" .. PASSWORD) } } })
    name = other.host .. "/" .. path
    out = select(2, run [[job:image_tag { source = "busybox:1.36", tags = { name .. ":1" } }
      job:docker_push(name .. ":1")]])
    say(out, 0)
    assert.equal(1, other.count("^PUT .*/manifests/1"))
    other.stop()
  end)

  it("is pushed where its tag is an index, which a pull made known here", function()
    pushed()
    local manifest = ask("GET", "manifests/1")
    local platform = json.decode(proc.run { argv = { "docker", "inspect", "-f",
      '{"os":"{{.Os}}","architecture":"{{.Architecture}}"}', "busybox:1.36" } }.stdout)
    assert.equal(201, ask("PUT", "manifests/many", json.encode { schemaVersion = 2, mediaType = INDEX,
      manifests = { { mediaType = MANIFEST, size = #manifest.body, platform = platform,
      digest = manifest.headers["docker-content-digest"] } } }, INDEX).status)
    local puts, out = run [[job:docker_pull(name .. ":many")
      local known = job:image_inspect(name .. ":many").RepoDigests
      local count = 0
      for _, each in ipairs(known) do count = count + (each:find(name, 1, true) and 1 or 0) end
      job:log("known by %d", count)
      job:docker_push { name .. ":1" }
      local one = job:docker_push { name .. ":many" }[1]
      job:log("same %s", tostring(one.digest == job:docker_push { name .. ":1" }[1].digest))]]
    assert.is_truthy(out:find("known by 2", 1, true), out)
    assert.is_truthy(out:find("same true", 1, true), out)
    assert.equal(1, puts)
    say(out, 2)
  end)

  it("is pushed when the registry cannot be asked, which is not asked for long", function()
    pushed()
    for _, fault in ipairs { { status = 403 }, { status = 500 }, { drop = "reset" },
      { status = 307, headers = { Location = "/v2/" } }, { delay = 5 } } do
      fault.match, fault.times = ("HEAD /v2/%s/manifests"):format(path), 9
      registry.fault(fault)
      local from = #registry.requests()
      local puts, out = run [[job:docker_push { name .. ":1", name .. ":2" }
        job:docker_push { name .. ":1" }]]
      assert.equal(3, puts, json.encode(fault))
      say(out, 0)
      -- A refusal may be of a login; what cannot be reached is left alone by the whole job.
      assert.equal(fault.status and 2 or 1, registry.count("^HEAD .*/manifests/", from),
        json.encode(fault))
      assert.is_nil(out:find("trying again", 1, true))
      registry.heal()
    end
  end)

  it("is taken at the registry's word, unless it is forced", function()
    pushed()
    local layer = json.decode(ask("GET", "manifests/1").body).layers[1].digest
    local link = ("%s/registry/docker/registry/v2/repositories/%s/_layers/%s/link"):format(
      os.getenv("ORCH_TEST_DIR"), path, layer:gsub(":", "/"))
    assert(fs.remove(link))
    assert.equal(404, ask("HEAD", "blobs/" .. layer).status)
    local puts, out = run [[job:docker_push(name .. ":1")]]
    assert.equal(0, puts)
    say(out, 1)
    assert.equal(1, (run [[job:docker_push { name .. ":1", force = true }]]))
    assert.equal(200, ask("HEAD", "blobs/" .. layer).status)
  end)
end)
