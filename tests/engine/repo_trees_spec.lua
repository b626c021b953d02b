-- What trees hold: odd names, line ends, submodules, many files.
local fs = require "orch.fs"
local repo = require "orch.repo"
local task = require "orch.task"
local repositories = require "engine.servers.repositories"

describe("repo.checkout writes", function()
  local box, server

  setup(function()
    box = repositories.box()
    server = box:serve()
  end)

  teardown(function()
    server:stop()
    box:remove()
  end)

  -- A repository, below the server's root, of what the script makes in its directory.
  local function made(name, script)
    local work, bare = box:fresh(name), ("%s/git/%s.git"):format(box.dir, name)
    box:git { "init", "-q", "-b", "main", work }
    box:sh("cd \"$1\"; " .. script, work)
    box:git { "-C", work, "add", "-A", "-f" }
    box:git { "-C", work, "commit", "-q", "-m", name }
    box:git { "clone", "-q", "--bare", work, bare }
    return bare, work
  end

  local function same_as_git(url)
    local into, twin = box:fresh(), box:fresh()
    local result = assert(repo.checkout { url = url, into = into })
    box:git { "clone", "-q", url, twin }
    assert.same(box:tree(twin), box:tree(into))
    assert.equal("", box:git { "-C", into, "status", "--porcelain" })
    box:git { "-C", into, "fsck", "--full" }
    return result, into
  end

  it("any name, mode and link", function()
    same_as_git((made("names", [[
      printf a > "$(printf 'line\nfeed')"; printf b > "$(printf 'latin-\344')"; printf c > ' blank '
      printf d > '-dash'; mkdir -p "$(printf 'di\tr')/.hidden"; printf e > "$(printf 'di\tr')/.hidden/x"
      ln -s /etc/passwd absolute; ln -s nowhere dangling; ln -s . loop; ln -s "$(printf 'a\nb')" odd
      printf '#!/bin/sh\n' > run; chmod +x run; : > empty; mkdir gitty; printf f > gitty/.gitignore
      printf g > .git-blame-ignore-revs; printf h > git~2; printf i > "back\\slash"]])))
  end)

  it("unchanged files with the time they had in the checkout before, when those are kept",
    function()
    local bare, work = made("times",
      "mkdir d; for i in 1 2 3; do echo $i > f$i; echo $i > d/f$i; done; ln -s f1 l; chmod +x d/f3")
    local times = box:fresh() .. "/kept/times"
    local function fresh(kept)
      local into = box:fresh()
      assert(repo.checkout { url = bare, into = into, times = kept or times })
      assert.equal("", box:git { "-C", into, "status", "--porcelain" })
      local found = {}
      for _, name in ipairs { "f1", "f2", "f3", "d/f1", "d/f2", "d/f3" } do
        found[name] = box:sh("stat -c %y \"$1\"", into .. "/" .. name)
      end
      return found, into
    end
    local function commit(script)
      box:sh("cd \"$1\"; " .. script, work)
      box:git { "-C", work, "add", "-A" }
      box:git { "-C", work, "commit", "-q", "-m", "more" }
      box:git { "-C", work, "push", "-q", "-f", bare, "HEAD:main" }
    end
    local first, into = fresh()
    assert.same(first, (fresh()))
    assert.not_same(first, (fresh(box:fresh() .. "-other")))
    commit "echo 7 > f2; chmod +x d/f2; rm d/f1; mv f3 d/f1; echo 3 > f3"
    local second = fresh()
    for name in pairs(first) do
      local same = name == "f1" or name == "f3" or name == "d/f3"
      assert.equal(same, first[name] == second[name], name)
    end
    assert(repo.checkout { url = bare, into = into, times = times }) -- in place: as it is there
    assert.equal(box:sh("stat -c %y \"$1\"", into .. "/f2"), (fresh()).f2)
    local before = fresh()
    commit "echo '* -text' > .gitattributes" -- the same blobs may be other files
    assert.not_equal(before.f1, (fresh()).f1)
    assert(fs.write(times, "no index"))
    assert.equal("", box:git { "-C", select(2, fresh()), "status", "--porcelain" })
  end)

  it("line ends and keywords as git does", function()
    local bare, work = made("filters", [[
      printf '*.bat text eol=crlf\n*.id ident\nsub/*.txt -text\n' > .gitattributes
      printf 'a\nb\n' > x.bat; printf '$Id$\n' > x.id; printf 'a\nb\n' > plain
      mkdir sub; printf '*.bat -text\n' > sub/.gitattributes; printf 'a\nb\n' > sub/y.bat]])
    local _, into = same_as_git(bare)
    assert.equal("a\r\nb\r\n", fs.read(into .. "/x.bat"))
    assert.matches("^%$Id: %x+", fs.read(into .. "/x.id"))
    assert.equal("a\nb\n", fs.read(into .. "/sub/y.bat"))
    box:sh([[cd "$1"; printf '*.id ident\n' > .gitattributes; printf 'c\n' >> x.bat]], work)
    box:git { "-C", work, "commit", "-qam", "less" }
    assert(repo.checkout { url = work, into = into })
    assert.equal("a\nb\nc\n", fs.read(into .. "/x.bat"))
    assert.equal("", box:git { "-C", into, "status", "--porcelain" })
  end)

  it("submodules, to any depth, with credentials for their own server only", function()
    local function add(work, name)
      box:git { "-C", work, "-c", "protocol.file.allow=always", "submodule", "add", "-q", "-b",
        "main", "../" .. name .. ".git", "mods/" .. name }
      box:git { "-C", work, "commit", "-qm", "with " .. name }
    end
    made("inner", "echo inner > file")
    local middle_work = box:fresh()
    made("middle", "echo middle > file")
    box:git { "clone", "-q", box.dir .. "/git/middle.git", middle_work }
    add(middle_work, "inner")
    box:git { "-C", middle_work, "push", "-q", "origin", "main" }
    made("outer", "echo outer > file")
    local outer_work = box:fresh()
    box:git { "clone", "-q", box.dir .. "/git/outer.git", outer_work }
    add(outer_work, "middle")
    box:git { "-C", outer_work, "push", "-q", "origin", "main" }
    for _,
      url in ipairs { box.dir .. "/git/outer.git", server.url .. "/outer.git",
      server.url .. "/private/outer.git" } do
      local into = box:fresh()
      local options = { url = url, into = into, submodules = true, mirror = box:fresh(),
        user = "ada", password = server.password }
      local result = assert(repo.checkout(options))
      assert.equal("with middle", result.subject)
      assert.equal("inner\n", fs.read(into .. "/mods/middle/mods/inner/file"))
      assert.equal("", box:git { "-C", into, "status", "--porcelain" })
      assert.not_matches("\n[-+]",
        "\n" .. box:git { "-C", into, "submodule", "status", "--recursive" })
      assert.equal(0, assert(repo.checkout(options)).files)
    end
    local into = box:fresh()
    assert(repo.checkout { url = server.url .. "/outer.git", into = into })
    assert.same({}, fs.list and fs.list(into .. "/mods/middle") or {})
    assert.equal("", box:git { "-C", into, "status", "--porcelain" })
  end)

  describe("five thousand files", function()
    local bare

    setup(function()
      bare = made("many",
        [[i=0; while [ $i -lt 100 ]; do mkdir -p d$i/e; j=0; while [ $j -lt 50 ]; do
        echo "$i $j of many" > d$i/e/f$j; j=$((j+1)); done; i=$((i+1)); done]])
    end)

    it("as git does", function()
      local result = same_as_git(bare)
      assert.equal(5000, result.files)
    end)

    it("or none, when its helper is killed on the way", function()
      -- How many were there to be killed after so many seconds.
      local function kill_after(wait)
        local into = box:fresh()
        local done = task.spawn(function() return repo.checkout { url = bare, into = into } end)
        task.sleep(wait)
        local killed = box:kill_helpers()
        local ok, result, err = pcall(done.join, done)
        if ok and result == nil then
          assert.equal("failed", err.kind)
          assert.is_nil(fs.stat(into))
        end
        assert(repo.checkout { url = bare, into = into })
        assert.equal("", box:git { "-C", into, "status", "--porcelain" })
        assert.is_nil(box:leftovers(into))
        return killed
      end
      local killed = 0
      for _, wait in ipairs { 0, 0.02, 0.05, 0.1 } do killed = killed + kill_after(wait) end
      local more = 0.01 -- seconds; a machine may be so busy or so fast that none was met
      while killed == 0 do
        assert.is_true(more < 1)
        killed, more = kill_after(more), more * 1.5
      end
    end)
  end)
end)
