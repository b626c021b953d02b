local repo = require "orch.repo"
local repositories = require "engine.servers.repositories"

describe("repo.info", function()
  local box
  setup(function() box = repositories.box() end)
  teardown(function() box:remove() end)

  it("tells what a directory's repository is", function()
    local into = box:fresh()
    local sha = assert(repo.checkout { url = box.app, ref = "v0.2.0", into = into }).sha
    box:git { "-C", into, "remote", "set-url", "origin", "https://ada:secret@example.org/app.git" }
    local info = assert(repo.info { dir = into .. "/extras", dirty = true })
    assert.same({ into, sha, nil, "v0.2.0", false },
      { info.top, info.sha, info.branch, info.tag, info.dirty })
    assert.equal("https://example.org/app.git", info.remote_url)
    box:sh([[echo >> "$1/extras/hello.sh"]], into)
    assert.is_true(assert(repo.info { dir = into, dirty = true }).dirty)
    assert.is_nil(assert(repo.info { dir = into }).dirty)
  end)

  it("knows repositories without a commit, and directories without a repository", function()
    local empty = box:fresh()
    box:git { "init", "-q", "-b", "trunk", empty }
    local info = assert(repo.info { dir = empty })
    assert.same({ empty, nil, "trunk" }, { info.top, info.sha, info.branch })
    local none, err = repo.info { dir = "/proc" }
    assert.same({ nil, "missing" }, { none, err.kind })
    none, err = repo.info { dir = box:fresh() }
    assert.same({ nil, "missing" }, { none, err.kind })
  end)
end)
