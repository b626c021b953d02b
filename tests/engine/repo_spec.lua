local fs = require "orch.fs"
local repo = require "orch.repo"
local task = require "orch.task"
local repositories = require "engine.servers.repositories"

describe("repo", function()
  local box, server, app

  setup(function()
    box = repositories.box()
    server = box:serve()
    app = server.url .. "/app.git"
  end)

  teardown(function()
    server:stop()
    box:remove()
  end)

  describe("from a path", function()
    it("makes a work tree without copying an object", function()
      local result, into = box:checkout { url = box.app }
      assert.equal("main", result.branch)
      assert.equal("refs/heads/main", result.ref)
      assert.equal("extras: add what checkouts stumble over", result.subject)
      assert.equal("Ada Example <ada@example.org>", result.author)
      assert.equal(1704067202, result.time)
      assert.same({ 0, 0, true }, { result.objects, result.bytes, result.mirror_hit })
      assert.equal(box.app, box:git { "-C", into, "remote", "get-url", "origin" })
      assert.equal("main", box:git { "-C", into, "branch", "--show-current" })
      assert.equal("origin/main", box:git { "-C", into, "rev-parse", "--abbrev-ref", "@{u}" })
      box:like_git(into, box.app)
    end)

    it("takes a branch, a light tag, an annotated tag, a full ref", function()
      local result, into = box:checkout { url = box.app, ref = "feature/greeting" }
      assert.equal("feature/greeting", result.branch)
      box:like_git(into, box.app, "feature/greeting")
      result, into = box:checkout { url = box.app, ref = "v0.1.0" }
      assert.same({ nil, "v0.1.0", "refs/tags/v0.1.0" }, { result.branch, result.tag, result.ref })
      assert.equal("", box:git { "-C", into, "branch", "--show-current" })
      box:like_git(into, box.app, "v0.1.0")
      result, into = box:checkout { url = box.app, ref = "v0.2.0" }
      assert.equal("v0.2.0", box:git { "-C", into, "describe", "--exact-match" })
      box:git { "-C", box.app, "update-ref", "refs/pull/7/head", "v0.1.0" }
      result = box:checkout { url = box.app, ref = "refs/pull/7/head" }
      assert.same({ nil, nil, "refs/pull/7/head" }, { result.branch, result.tag, result.ref })
    end)

    it("takes a commit, short or whole, and puts a branch on it", function()
      local old = box:git { "-C", box.app, "rev-parse", "v0.1.0^0" }
      local result, into = box:checkout { url = box.app, sha = old:sub(1, 7) }
      assert.same({ old, nil }, { result.sha, result.branch })
      result, into = box:checkout { url = box.app, ref = "main", sha = old }
      assert.same({ old, "main" }, { result.sha, result.branch })
      assert.equal("main", box:git { "-C", into, "branch", "--show-current" })
    end)

    it("takes work trees, linked ones, and repositories that borrow themselves", function()
      local made, linked, shared = box:fresh(), box:fresh(), box:fresh()
      box:git { "clone", "-q", box.app, made }
      box:git { "-C", made, "worktree", "add", "-q", "-b", "side", linked, "v0.1.0" }
      box:git { "clone", "-q", "--shared", made, shared }
      box:git { "-C", made, "config", "core.repositoryformatversion", "1" }
      box:git { "-C", made, "config", "extensions.worktreeConfig", "true" }
      assert.equal("main", box:checkout { url = made }.branch)
      assert.equal("side", box:checkout { url = linked }.branch)
      local _, into = box:checkout { url = shared }
      local _, again = box:checkout { url = into }
      box:like_git(again, box.app)
    end)

    it("brings all tags when asked to", function()
      local _, into = box:checkout { url = box.app, tags = true }
      assert.equal("v0.1.0\nv0.2.0", box:git { "-C", into, "tag" })
      _, into = box:checkout { url = app, tags = true }
      assert.equal("v0.1.0\nv0.2.0", box:git { "-C", into, "tag" })
      _, into = box:checkout { url = app, tags = true, mirror = box:fresh() }
      assert.equal("v0.1.0\nv0.2.0", box:git { "-C", into, "tag" })
    end)
  end)

  describe("in place", function()
    it("goes to another commit and leaves untracked files alone", function()
      local _, into = box:checkout { url = box.app, ref = "main" }
      box:sh([[cd "$1"; echo mine > untracked; mkdir -p extras/own; echo mine > extras/own/file
        printf '%s\n' untracked extras/own > .git/info/exclude]], into)
      local result = box:checkout { url = box.app, ref = "v0.1.0", into = into }
      assert.is_true(result.files <= 2)
      assert.is_nil(fs.stat(into .. "/extras/hello.sh"))
      assert.equal("mine\n", fs.read(into .. "/extras/own/file"))
      box:checkout { url = app, ref = "feature/greeting", into = into, mirror = box:fresh() }
      assert.equal("mine\n", fs.read(into .. "/untracked"))
      assert.equal(app, box:git { "-C", into, "remote", "get-url", "origin" })
      box:sh([[cd "$1"; rm -r untracked extras/own]], into)
      box:like_git(into, app, "feature/greeting")
    end)

    it("writes only what differs, and what was changed, deleted or turned into a directory",
      function()
      local _, into = box:checkout { url = box.app }
      assert.equal(0, box:checkout { url = box.app, into = into }.files)
      box:sh([[cd "$1"; echo x >> extras/hello.sh; rm extras/hello; chmod +x extras/größe.txt
        rm -r extras/deep; echo flat > extras/deep; rm Dockerfile; mkdir Dockerfile; touch Dockerfile/x]], into)
      assert.equal(5, box:checkout { url = box.app, into = into }.files)
      box:like_git(into, box.app)
    end)

    it("does not follow a link that stands where a directory was", function()
      local _, into = box:checkout { url = box.app }
      local outside = box:fresh()
      box:sh([[mkdir "$2"; rm -r "$1/extras/deep"; ln -s "$2" "$1/extras/deep"]], into, outside)
      box:checkout { url = box.app, into = into }
      assert.equal("", box:sh([[ls -A "$1"]], outside))
      box:like_git(into, box.app)
    end)

    it("fetches straight into a repository when there is no mirror", function()
      local _, into = box:checkout { url = app, ref = "v0.1.0" }
      box:checkout { url = app, into = into }
      box:like_git(into, app)
    end)

    it("refuses what is neither empty nor a repository, and a tree that git works in", function()
      local into = box:fresh()
      box:sh([[mkdir "$1"; touch "$1/file"]], into)
      box:fails("conflict", "neither empty nor a git repository: it holds file",
        { url = box.app, into = into })
      box:fails("conflict", "no directory", { url = box.app, into = into .. "/file" })
      local _, tree = box:checkout { url = box.app }
      box:sh([[touch "$1/.git/index.lock"]], tree)
      box:fails("conflict", "index%.lock", { url = box.app, into = tree })
    end)

    it("keeps an empty directory's inode, and clears what a killed helper left", function()
      local into = box:fresh()
      box:sh([[mkdir -p "$1/.orch-checkout-new/.git/x" "$(dirname "$1")/.$(basename "$1")-b.orch-checkout-new/x"]], into)
      local inode = box:sh([[stat -c %i "$1"]], into)
      box:checkout { url = box.app, into = into }
      assert.equal(inode, box:sh([[stat -c %i "$1"]], into))
      box:like_git(into, box.app)
      box:checkout { url = box.app, into = into .. "-b" }
      box:like_git(into .. "-b", box.app)
    end)
  end)

  it("ends with its task and leaves nothing", function()
    local into, mirror = box:fresh(), box:fresh()
    local done = task.spawn(function()
      return repo.checkout { url = server.url .. "/slow/app.git", into = into, mirror = mirror }
    end)
    task.sleep(0.3)
    assert.is_true(box:helpers() > 0)
    done:cancel "enough"
    pcall(done.join, done)
    assert.equal(0, box:helpers())
    assert.is_nil(fs.stat(into))
    assert.is_nil(box:leftovers(into))
    box:checkout { url = app, mirror = mirror, into = into }
  end)

  it("refuses options it does not know or cannot use", function()
    assert.error_matches(function() repo.checkout { url = "/x", into = "/y", branch = "main" } end,
      "repo.checkout: unknown option 'branch'")
    assert.error_matches(function() repo.checkout { url = "/x" } end, "option 'into' is missing")
    assert.error_matches(function() repo.checkout { url = "/x\0", into = "/y" } end, "zero byte")
    assert.error_matches(function() repo.checkout { url = "/x", into = "/y", ref = "" } end,
      "empty")
    assert.error_matches(function() repo.info { path = "/x" } end, "unknown option 'path'")
  end)
end)
