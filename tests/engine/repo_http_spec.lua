local secret = require "orch.secret"
local repositories = require "engine.servers.repositories"

describe("repo.checkout over HTTP", function()
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

  it("fetches with and without a mirror, and nothing twice", function()
    local result, into = box:checkout { url = app }
    assert.is_true(result.objects > 0 and result.bytes > 0 and not result.mirror_hit)
    box:like_git(into, app)
    local mirror = box:fresh()
    assert.is_false(box:checkout { url = app, mirror = mirror }.mirror_hit)
    result, into = box:checkout { url = app, mirror = mirror }
    assert.same({ true, 0 }, { result.mirror_hit, result.bytes })
    box:like_git(into, app)
  end)

  it("takes tags and commits, and asks nobody for a commit that it has", function()
    local old = box:git { "-C", box.app, "rev-parse", "v0.1.0^0" }
    local mirror = box:fresh()
    assert.equal("v0.2.0", box:checkout { url = app, ref = "v0.2.0", mirror = mirror }.tag)
    assert.equal(old, box:checkout { url = app, sha = old }.sha)
    assert.equal("main", box:checkout { url = app, ref = "main", sha = old, mirror = mirror }.branch)
    server:fault { status = 500, times = 100 }
    assert.is_true(box:checkout { url = app, ref = "main", sha = old, mirror = mirror }.mirror_hit)
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
        assert.equal(wanted, box:checkout { url = app, ref = name, mirror = mirror }.sha)
      end
    end
    box:git { "-C", box.app, "update-ref", "-d", "refs/heads/a/b" }
  end)

  it("gives credentials to whom they are for, and to nobody else", function()
    local private = server.url .. "/private/app.git"
    box:fails("auth", "none were given", { url = private })
    box:fails("auth", "refused the credentials of user 'ada'",
      { url = private, user = "ada", password = "wrong" })
    local options = { url = private, user = "ada",
      password = secret.new(server.password, "TOKEN"), mirror = box:fresh() }
    local _, into = box:checkout(options)
    assert.equal("",
      box:sh([[grep -rl "$2" "$1" "$3" || :]], into, server.password, options.mirror))
    _, into = box:checkout { url = private:gsub("//", "//ada:" .. server.password .. "@") .. "" }
    assert.equal(private, box:git { "-C", into, "remote", "get-url", "origin" })
    server:forget()
    local there = server.url .. "/redirect/app.git"
    box:checkout { url = there, user = "ada", password = server.password }
    box:fails("auth", "another server",
      { url = server.url .. "/redirect/private/app.git", user = "ada",
      password = server.password })
    assert.is_false(server:other_saw "authorization")
  end)

  it("tells what is wrong", function()
    box:fails("missing", "^no branch or tag 'mian' in http://[%d.:]+/app.git; near: main$",
      { url = app, ref = "mian" })
    box:fails("missing", "no branch or tag 'mian' in /.*; near: main$",
      { url = box.app, ref = "mian" })
    box:fails("missing", "no ref 'refs/pull/9/head'", { url = app, ref = "refs/pull/9/head" })
    box:fails("missing", "no commit 1+ in http", { url = app, sha = ("1"):rep(40) })
    box:fails("missing", "nor in the history of refs/heads/main",
      { url = app, ref = "main", sha = ("1"):rep(40) })
    box:fails("missing", "no commit 1111111 in /", { url = box.app, sha = "1111111" })
    box:fails("missing", "no git repository at /", { url = box.dir .. "/nothing" })
    box:fails("missing", "not visible", { url = server.url .. "/nothing.git" })
    box:fails("missing", "404", { url = server.url .. "/status/404/app.git" })
    box:fails("auth", "403", { url = server.url .. "/status/403/app.git" })
    box:fails("remote", "500", { url = server.url .. "/status/500/app.git" })
    box:fails("remote", "no answer that a git server gives",
      { url = server.url .. "/status/200/app.git" })
    box:fails("net", "127.0.0.1", { url = "http://127.0.0.1:1/app.git" })
    box:fails("net", "nosuch.invalid", { url = "http://ada:secret@nosuch.invalid/app.git" })
    box:fails("usage", "cannot make out", { url = "ftp://ada:secret@host/app.git" })
    box:fails("usage", "no path", { url = "https://host" })
    box:fails("usage", "begin with '%-'", { url = "ssh://-oProxyCommand=x/app.git" })
    box:fails("usage", "40 hexadecimal", { url = app, sha = "abcdef1" })
    box:fails("usage", "7 to 40", { url = box.app, sha = "main" })
    local empty = box:fresh()
    box:git { "init", "-q", "--bare", empty }
    box:fails("missing", "no commit yet", { url = empty })
  end)

  it("notices an answer that breaks off", function()
    server:fault { drop = "close", match = "git-upload-pack", times = 1 }
    box:fails("net", "cannot reach", { url = app })
    server:fault { drop = "reset", times = 1 }
    box:fails("net", "cannot reach", { url = app })
    server:fault(nil)
  end)

  it("gives a silent server up", function()
    local err = box:fails("timeout", "^nothing came from http://[%d.:]+/slow/app.git for 0.3 s",
      { url = server.url .. "/slow/app.git", idle_timeout = 0.3 })
    assert.equal("checkout", err.op)
    box:fails("timeout", "was not there after 0.2 s",
      { url = server.url .. "/slow/app.git", timeout = 0.2,
      mirror = box:fresh() })
  end)
end)
