-- Repositories made to reach out of their work tree, or to have something run.
local fs = require "orch.fs"
local repo = require "orch.repo"
local repositories = require "engine.servers.repositories"

describe("repo.checkout of a hostile repository writes", function()
  local box, server

  setup(function()
    box = repositories.box()
    server = box:serve()
  end)

  teardown(function()
    server:stop()
    box:remove()
  end)

  describe("nothing outside its directory:", function()
    local cases = {
      ["a hook"] = function(blob, tree)
        local id = blob "#!/bin/sh\n"
        return tree { "40000", ".git",
          tree { "40000", "hooks", tree { "100755", "post-checkout", id } } }
      end,
      ["another case of .git"] = function(blob, tree)
        return tree { "40000", ".GIT", tree { "100644", "config", blob "x" } }
      end,
      ["a short name of .git"] = function(blob, tree)
        return tree { "40000", "GIT~1", tree { "100644", "config", blob "x" } }
      end,
      ["a stream of .git"] = function(blob, tree)
        return tree { "40000", ".git::$INDEX_ALLOCATION", tree { "100644", "x", blob "x" } }
      end,
      ["dots behind .git"] = function(blob, tree)
        return tree { "40000", ".git . .", tree { "100644", "x", blob "x" } }
      end,
      ["an ignored character in .git"] = function(blob, tree)
        return tree { "40000", ".g\u{200c}it", tree { "100644", "x", blob "x" } }
      end,
      ["a .git further down"] = function(blob, tree)
        return tree { "40000", "sub",
          tree { "40000", ".git", tree { "100644", "config", blob "x" } } }
      end,
      ["a backslash"] = function(blob, tree)
        return tree { "100644", "a\\.git\\config", blob "x" }
      end,
      ["two dots"] = function(blob, tree)
        return tree { "40000", "..", tree { "100644", "escaped", blob "x" } }
      end,
      ["one dot"] = function(blob, tree)
        return tree { "40000", ".", tree { "100644", "escaped", blob "x" } }
      end,
      ["a slash in a name"] = function(blob, tree)
        return tree { "100644", "../escaped", blob "x" }
      end,
      ["a root"] = function(blob, tree) return tree { "100644", "/tmp/escaped", blob "x" } end,
      ["a link, then a path through it"] = function(blob, tree)
        return tree({ "120000", "door", blob(box.dir) },
          { "40000", "door", tree { "100644", "escaped", blob "x" } })
      end,
      ["a link for .gitmodules"] = function(blob, tree)
        return tree({ "120000", ".gitmodules", blob "../escaped-modules" })
      end,
      ["a link for .gitmodules, further down and in another case"] = function(blob, tree)
        return tree { "40000", "sub", tree { "120000", ".GitModules", blob "/etc/passwd" } }
      end,
      ["a path, then a link over it"] = function(blob, tree)
        return tree({ "40000", "door", tree { "100644", "escaped", blob "x" } },
          { "120000", "door", blob(box.dir) })
      end,
    }
    local names = {}
    for name in pairs(cases) do names[#names + 1] = name end
    table.sort(names)
    for i, name in ipairs(names) do
      it(name, function()
        local bare = box:crafted("hostile" .. i, cases[name])
        local into = box:fresh()
        local _, err = repo.checkout { url = bare, into = into, submodules = true, timeout = 60 }
        assert.equal("failed", err and err.kind, err and err.message)
        assert.matches("hostile", err.message)
        assert.is_nil(fs.stat(into))
        assert.is_nil(box:leftovers(into))
        assert.equal("", box:sh([[find "$1" -name escaped]], box.dir))
      end)
    end
  end)

  it("nothing of ten small trees that make a thousand million files", function()
    local bare = box:crafted("bomb", function(blob, tree)
      local mode, id = "100644", blob "x"
      for _ = 1, 9 do
        local entries = {}
        for i = 0, 9 do entries[#entries + 1] = { mode, "d" .. i, id } end
        mode, id = "40000", tree(table.unpack(entries))
      end
      return id
    end)
    local into = box:fresh()
    local _, err = repo.checkout { url = bare, into = into, timeout = 60 }
    assert.equal("limit", err.kind, err.message)
    assert.is_nil(fs.stat(into))
    assert.is_nil(box:leftovers(into))
  end)

  it("no submodule from this machine for a repository elsewhere", function()
    local bare = box:crafted("thief", function(blob, tree)
      return tree({ "100644", ".gitmodules",
        blob(('[submodule "x"]\n\tpath = x\n\turl = %s\n'):format(box.app)) },
        { "160000", "x", box:git { "-C", box.app, "rev-parse", "main" } })
    end)
    local into = box:fresh()
    local _, err = repo.checkout { url = server.url .. "/thief.git", into = into,
      submodules = true }
    assert.equal("failed", err.kind)
    assert.matches("submodule x: refused to read", err.message)
    assert.is_nil(fs.stat(into))
    assert(repo.checkout { url = bare, into = into, submodules = true })
  end)

  -- A repository with a submodule "x" for which .gitmodules says this.
  local function with_module(name, text)
    return box:crafted(name, function(blob, tree)
      return tree({ "100644", ".gitmodules", blob(text) },
        { "160000", "x", box:git { "-C", box.app, "rev-parse", "main" } })
    end)
  end

  describe("nothing of a submodule that is", function()
    local count = 0
    local function refused(text, kind, words)
      count = count + 1
      text = text:gsub("TOUCH", "touch " .. box.dir .. "/escaped")
      local bare = with_module("modules" .. count, text)
      local into = box:fresh()
      local _, err = repo.checkout { url = bare, into = into, submodules = true, timeout = 60 }
      assert.equal(kind, err and err.kind, err and err.message)
      assert.matches(words, err.message, 1, true)
      assert.is_nil(fs.stat(into))
      assert.is_nil(box:leftovers(into))
      assert.equal("", box:sh([[find "$1" -name 'escaped*']], box.dir))
    end
    local function at(url) return ('[submodule "x"]\n\tpath = x\n\turl = "%s"\n'):format(url) end

    it("a program", function()
      for _, url in ipairs { "ext::sh -c TOUCH", "fd::17/x", "ext::TOUCH:x" } do
        refused(at(url), "usage", "runs no helper programs")
      end
    end)

    it("an option of ssh or git", function()
      for _, url in ipairs { "-oProxyCommand=TOUCH", "--upload-pack=TOUCH",
        "-oProxyCommand=x:x" } do
        refused(at(url), "failed", "no URL for it")
      end
      for _, url in ipairs { "ssh://-oProxyCommand=TOUCH/x", "ssh://-oProxyCommand=TOUCH@h/x",
        "ssh://%2doProxyCommand=x@h/x", "h:--upload-pack=TOUCH", "a@-oProxyCommand=x:x" } do
        refused(at(url), "usage", "must not begin with '-'")
      end
    end)

    it("to be updated by a command", function()
      refused(at(box.app) .. "\tupdate = !TOUCH\n", "failed",
        "invalid value for submodule 'update'")
    end)

    it("of no way of transport that there is", function()
      refused(at "git://127.0.0.1/x", "usage", "cannot make out the URL")
      refused(at "file://-x", "usage", "cannot make out the URL")
    end)

    it("named by control characters", function()
      refused(at "http://127.0.0.1:1/\27[2J\13x", "usage", "control character")
    end)

    it("nowhere, or has a name that leads out", function()
      refused("", "failed", "no URL for it")
      refused('[submodule "x"]\n\tpath = x\n', "failed", "no URL for it")
      refused(('[submodule "../../escaped"]\n\tpath = x\n\turl = %s\n'):format(box.app), "failed",
        "no URL for it")
    end)
  end)

  it("not a part of its submodules, when there are too many", function()
    local id = box:git { "-C", box.app, "rev-parse", "main" }
    local bare = box:crafted("thousand", function(blob, tree)
      local text, entries = {}, {}
      for i = 1, 1001 do
        local name = ("m%04d"):format(i)
        text[i] = ('[submodule "%s"]\n\tpath = %s\n\turl = %s\n'):format(name, name, box.app)
        entries[i] = { "160000", name, id }
      end
      return tree({ "100644", ".gitmodules", blob(table.concat(text)) }, table.unpack(entries))
    end)
    local into = box:fresh()
    local _, err = repo.checkout { url = bare, into = into, submodules = true, timeout = 60 }
    assert.equal("limit", err and err.kind, err and err.message)
    assert.matches("more than 1000 submodules", err.message, 1, true)
    assert.is_nil(fs.stat(into))
  end)
end)
