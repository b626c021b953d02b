local proc = require "orch.proc"
local repo = require "orch.repo"
local repositories = require "engine.servers.repositories"

describe("repo.checkout", function()
  local box, server

  setup(function()
    box = repositories.box()
    server = box:serve()
  end)

  teardown(function()
    server:stop()
    box:remove()
  end)

  local function like_git(url, into, ref)
    local twin = box:fresh()
    box:git { "clone", "-q", "-b", ref or "main", url, twin }
    assert.equal("", box:git { "-C", into, "status", "--porcelain" })
    assert.same(box:tree(twin), box:tree(into))
    box:git { "-C", into, "fsck", "--full", "--strict" }
  end

  it("makes a work tree of a bare repository on this machine", function()
    local into = box:fresh()
    local result = assert(repo.checkout { url = box.app, into = into })
    assert.equal("main", result.branch)
    assert.equal("refs/heads/main", result.ref)
    assert.equal(box:git { "-C", box.app, "rev-parse", "main" }, result.sha)
    assert.equal("extras: add what checkouts stumble over", result.subject)
    assert.equal("Ada Example <ada@example.org>", result.author)
    assert.equal(0, result.bytes)
    like_git(box.app, into)
  end)

  it("makes one of a repository served over HTTP", function()
    local into = box:fresh()
    local result = assert(repo.checkout { url = server.url .. "/app.git", into = into })
    assert.is_true(result.objects > 0 and result.bytes > 0)
    assert.is_false(result.mirror_hit)
    like_git(server.url .. "/app.git", into)
  end)

  it("fetches nothing twice through a mirror", function()
    local mirror = box:fresh()
    local options = { url = server.url .. "/app.git", mirror = mirror, into = box:fresh() }
    assert.is_false(assert(repo.checkout(options)).mirror_hit)
    options.into = box:fresh()
    assert.is_true(assert(repo.checkout(options)).mirror_hit)
    like_git(options.url, options.into)
  end)
end)
