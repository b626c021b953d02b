local fs = require "orch.fs"
local repo = require "orch.repo"
local secret = require "orch.secret"
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

  local function head(into) return box:git { "-C", into, "rev-parse", "HEAD" } end

  local function checkout(options)
    options.into = options.into or box:fresh()
    local result = assert(repo.checkout(options))
    assert.equal(result.sha, head(options.into))
    assert.equal("", box:git { "-C", options.into, "status", "--porcelain" })
    return result, options.into
  end

  -- The same files, modes, links and bytes as git makes.
  local function like_git(into, url, ref)
    local twin = box:fresh "twin"
    box:git { "clone", "-q", "-b", ref or "main", url, twin }
    assert.same(box:tree(twin), box:tree(into))
    box:git { "-C", into, "fsck", "--full", "--strict" }
  end

  local function fails(kind, pattern, options)
    options.into = options.into or box:fresh()
    local result, err = repo.checkout(options)
    assert.is_nil(result)
    assert.equal(kind, err.kind, err.message)
    assert.matches(pattern, err.message)
    assert.not_matches("secret", err.message)
    assert.is_nil(box:leftovers(options.into))
    return err
  end

  describe("from a path", function()
    it("makes a work tree without copying an object", function()
      local result, into = checkout { url = box.app }
      assert.equal("main", result.branch)
      assert.equal("refs/heads/main", result.ref)
      assert.equal("extras: add what checkouts stumble over", result.subject)
      assert.equal("Ada Example <ada@example.org>", result.author)
      assert.equal(1704067202, result.time)
      assert.same({ 0, 0, true }, { result.objects, result.bytes, result.mirror_hit })
      assert.equal(box.app, box:git { "-C", into, "remote", "get-url", "origin" })
      assert.equal("main", box:git { "-C", into, "branch", "--show-current" })
      assert.equal("origin/main", box:git { "-C", into, "rev-parse", "--abbrev-ref", "@{u}" })
      like_git(into, box.app)
    end)

    it("takes a branch, a light tag, an annotated tag, a full ref", function()
      local result, into = checkout { url = box.app, ref = "feature/greeting" }
      assert.equal("feature/greeting", result.branch)
      like_git(into, box.app, "feature/greeting")
      result, into = checkout { url = box.app, ref = "v0.1.0" }
      assert.same({ nil, "v0.1.0", "refs/tags/v0.1.0" }, { result.branch, result.tag, result.ref })
      assert.equal("", box:git { "-C", into, "branch", "--show-current" })
      like_git(into, box.app, "v0.1.0")
      result, into = checkout { url = box.app, ref = "v0.2.0" }
      assert.equal("v0.2.0", box:git { "-C", into, "describe", "--exact-match" })
      box:git { "-C", box.app, "update-ref", "refs/pull/7/head", "v0.1.0" }
      result = checkout { url = box.app, ref = "refs/pull/7/head" }
      assert.same({ nil, nil, "refs/pull/7/head" }, { result.branch, result.tag, result.ref })
    end)

    it("takes a commit, short or whole, and puts a branch on it", function()
      local old = box:git { "-C", box.app, "rev-parse", "v0.1.0^0" }
      local result, into = checkout { url = box.app, sha = old:sub(1, 7) }
      assert.same({ old, nil }, { result.sha, result.branch })
      result, into = checkout { url = box.app, ref = "main", sha = old }
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
      assert.equal("main", checkout { url = made }.branch)
      assert.equal("side", checkout { url = linked }.branch)
      local _, into = checkout { url = shared }
      local _, again = checkout { url = into }
      like_git(again, box.app)
    end)

    it("brings all tags when asked to", function()
      local _, into = checkout { url = box.app, tags = true }
      assert.equal("v0.1.0\nv0.2.0", box:git { "-C", into, "tag" })
      _, into = checkout { url = app, tags = true }
      assert.equal("v0.1.0\nv0.2.0", box:git { "-C", into, "tag" })
      _, into = checkout { url = app, tags = true, mirror = box:fresh() }
      assert.equal("v0.1.0\nv0.2.0", box:git { "-C", into, "tag" })
    end)
  end)

  describe("in place", function()
    it("goes to another commit and leaves untracked files alone", function()
      local _, into = checkout { url = box.app, ref = "main" }
      box:sh([[cd "$1"; echo mine > untracked; mkdir -p extras/own; echo mine > extras/own/file
        printf '%s\n' untracked extras/own > .git/info/exclude]], into)
      local result = checkout { url = box.app, ref = "v0.1.0", into = into }
      assert.is_true(result.files <= 2)
      assert.is_nil(fs.stat(into .. "/extras/hello.sh"))
      assert.equal("mine\n", fs.read(into .. "/extras/own/file"))
      checkout { url = app, ref = "feature/greeting", into = into, mirror = box:fresh() }
      assert.equal("mine\n", fs.read(into .. "/untracked"))
      assert.equal(app, box:git { "-C", into, "remote", "get-url", "origin" })
      box:sh([[cd "$1"; rm -r untracked extras/own]], into)
      like_git(into, app, "feature/greeting")
    end)

    it("writes only what differs, and what was changed, deleted or turned into a directory",
      function()
      local _, into = checkout { url = box.app }
      assert.equal(0, checkout { url = box.app, into = into }.files)
      box:sh([[cd "$1"; echo x >> extras/hello.sh; rm extras/hello; chmod +x extras/größe.txt
        rm -r extras/deep; echo flat > extras/deep; rm Dockerfile; mkdir Dockerfile; touch Dockerfile/x]], into)
      assert.equal(5, checkout { url = box.app, into = into }.files)
      like_git(into, box.app)
    end)

    it("does not follow a link that stands where a directory was", function()
      local _, into = checkout { url = box.app }
      local outside = box:fresh()
      box:sh([[mkdir "$2"; rm -r "$1/extras/deep"; ln -s "$2" "$1/extras/deep"]], into, outside)
      checkout { url = box.app, into = into }
      assert.equal("", box:sh([[ls -A "$1"]], outside))
      like_git(into, box.app)
    end)

    it("fetches straight into a repository when there is no mirror", function()
      local _, into = checkout { url = app, ref = "v0.1.0" }
      checkout { url = app, into = into }
      like_git(into, app)
    end)

    it("refuses what is neither empty nor a repository, and a tree that git works in", function()
      local into = box:fresh()
      box:sh([[mkdir "$1"; touch "$1/file"]], into)
      fails("conflict", "neither empty nor a git repository: it holds file",
        { url = box.app, into = into })
      fails("conflict", "no directory", { url = box.app, into = into .. "/file" })
      local _, tree = checkout { url = box.app }
      box:sh([[touch "$1/.git/index.lock"]], tree)
      fails("conflict", "index%.lock", { url = box.app, into = tree })
    end)

    it("keeps an empty directory's inode, and clears what a killed helper left", function()
      local into = box:fresh()
      box:sh([[mkdir -p "$1/.orch-checkout-new/.git/x" "$(dirname "$1")/.$(basename "$1")-b.orch-checkout-new/x"]], into)
      local inode = box:sh([[stat -c %i "$1"]], into)
      checkout { url = box.app, into = into }
      assert.equal(inode, box:sh([[stat -c %i "$1"]], into))
      like_git(into, box.app)
      checkout { url = box.app, into = into .. "-b" }
      like_git(into .. "-b", box.app)
    end)
  end)

  describe("over HTTP", function()
    it("fetches with and without a mirror, and nothing twice", function()
      local result, into = checkout { url = app }
      assert.is_true(result.objects > 0 and result.bytes > 0 and not result.mirror_hit)
      like_git(into, app)
      local mirror = box:fresh()
      assert.is_false(checkout { url = app, mirror = mirror }.mirror_hit)
      result, into = checkout { url = app, mirror = mirror }
      assert.same({ true, 0 }, { result.mirror_hit, result.bytes })
      like_git(into, app)
    end)

    it("takes tags and commits, and asks nobody for a commit that it has", function()
      local old = box:git { "-C", box.app, "rev-parse", "v0.1.0^0" }
      local mirror = box:fresh()
      assert.equal("v0.2.0", checkout { url = app, ref = "v0.2.0", mirror = mirror }.tag)
      assert.equal(old, checkout { url = app, sha = old }.sha)
      assert.equal("main", checkout { url = app, ref = "main", sha = old, mirror = mirror }.branch)
      server:fault { status = 500, times = 100 }
      assert.is_true(checkout { url = app, ref = "main", sha = old, mirror = mirror }.mirror_hit)
      server:fault(nil)
    end)

    it("follows forced pushes, and names that were branches and folders by turns", function()
      local mirror = box:fresh()
      for i, step in ipairs {
        { "update-ref", "refs/heads/a", "v0.1.0^0" }, { "update-ref", "refs/heads/a", "main" },
        { "update-ref", "-d", "refs/heads/a" }, { "update-ref", "refs/heads/a/b", "v0.1.0^0" },
      } do
        box:git { "-C", box.app, table.unpack(step) }
        if i ~= 3 then
          local name = i == 4 and "a/b" or "a"
          local wanted = box:git { "-C", box.app, "rev-parse", "refs/heads/" .. name }
          assert.equal(wanted, checkout { url = app, ref = name, mirror = mirror }.sha)
        end
      end
      box:git { "-C", box.app, "update-ref", "-d", "refs/heads/a/b" }
    end)

    it("gives credentials to whom they are for, and to nobody else", function()
      local private = server.url .. "/private/app.git"
      fails("auth", "none were given", { url = private })
      fails("auth", "refused the credentials of user 'ada'",
        { url = private, user = "ada", password = "wrong" })
      local options = { url = private, user = "ada",
        password = secret.new(server.password, "TOKEN"), mirror = box:fresh() }
      local _, into = checkout(options)
      assert.equal("",
        box:sh([[grep -rl "$2" "$1" "$3" || :]], into, server.password, options.mirror))
      _, into = checkout { url = private:gsub("//", "//ada:" .. server.password .. "@") .. "" }
      assert.equal(private, box:git { "-C", into, "remote", "get-url", "origin" })
      server:forget()
      local there = server.url .. "/redirect/app.git"
      checkout { url = there, user = "ada", password = server.password }
      fails("auth", "another server",
        { url = server.url .. "/redirect/private/app.git", user = "ada",
        password = server.password })
      assert.is_false(server:other_saw "authorization")
    end)

    it("tells what is wrong", function()
      fails("missing", "^no branch or tag 'mian' in http://[%d.:]+/app.git; near: main$",
        { url = app, ref = "mian" })
      fails("missing", "no branch or tag 'mian' in /.*; near: main$",
        { url = box.app, ref = "mian" })
      fails("missing", "no ref 'refs/pull/9/head'", { url = app, ref = "refs/pull/9/head" })
      fails("missing", "no commit 1+ in http", { url = app, sha = ("1"):rep(40) })
      fails("missing", "nor in the history of refs/heads/main",
        { url = app, ref = "main", sha = ("1"):rep(40) })
      fails("missing", "no commit 1111111 in /", { url = box.app, sha = "1111111" })
      fails("missing", "no git repository at /", { url = box.dir .. "/nothing" })
      fails("missing", "not visible", { url = server.url .. "/nothing.git" })
      fails("missing", "404", { url = server.url .. "/status/404/app.git" })
      fails("auth", "403", { url = server.url .. "/status/403/app.git" })
      fails("remote", "500", { url = server.url .. "/status/500/app.git" })
      fails("remote", "no answer that a git server gives",
        { url = server.url .. "/status/200/app.git" })
      fails("net", "127.0.0.1", { url = "http://127.0.0.1:1/app.git" })
      fails("net", "nosuch.invalid", { url = "http://ada:secret@nosuch.invalid/app.git" })
      fails("usage", "cannot make out", { url = "ftp://ada:secret@host/app.git" })
      fails("usage", "no path", { url = "https://host" })
      fails("usage", "begin with '%-'", { url = "ssh://-oProxyCommand=x/app.git" })
      fails("usage", "40 hexadecimal", { url = app, sha = "abcdef1" })
      fails("usage", "7 to 40", { url = box.app, sha = "main" })
      local empty = box:fresh()
      box:git { "init", "-q", "--bare", empty }
      fails("missing", "no commit yet", { url = empty })
    end)

    it("notices an answer that breaks off", function()
      server:fault { drop = "close", match = "git-upload-pack", times = 1 }
      fails("net", "cannot reach", { url = app })
      server:fault { drop = "reset", times = 1 }
      fails("net", "cannot reach", { url = app })
      server:fault(nil)
    end)

    it("gives a silent server up", function()
      local err = fails("timeout", "^nothing came from http://[%d.:]+/slow/app.git for 0.3 s",
        { url = server.url .. "/slow/app.git", idle_timeout = 0.3 })
      assert.equal("checkout", err.op)
      fails("timeout", "was not there after 0.2 s",
        { url = server.url .. "/slow/app.git", timeout = 0.2,
        mirror = box:fresh() })
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
    checkout { url = app, mirror = mirror, into = into }
  end)

  it("refuses options it does not know or cannot use", function()
    assert.error_matches(function() repo.checkout { url = "/x", into = "/y", branch = "main" } end,
      "repo.checkout: unknown option 'branch'")
    assert.error_matches(function() repo.checkout { url = "/x" } end, "option 'into' is missing")
    assert.error_matches(function() repo.checkout { url = "/x\0", into = "/y" } end, "NUL")
    assert.error_matches(function() repo.checkout { url = "/x", into = "/y", ref = "" } end,
      "empty")
    assert.error_matches(function() repo.info { path = "/x" } end, "unknown option 'path'")
  end)
end)
