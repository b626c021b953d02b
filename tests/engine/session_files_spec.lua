-- The files that a daemon asks a session for: what is sent, left out, refused.
local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local daemons = require "engine.servers.daemons"

describe("session's files", function()
  local box
  before_each(function() box = daemons.box() end)
  after_each(function() box:remove() end)

  it("sends a tree in fsutil's order with root as its owner", function()
    box:write("a/b/c", "deep")
    box:write("a.txt", "beside")
    box:write("a-", "x")
    box:write("big", ("0123456789abcdef"):rep(10000))
    assert(fs.make_dir(box.context .. "/empty"))
    assert(fs.symlink("a/b", box.context .. "/link"))
    assert(proc.run { argv = { "sh", "-c", "ln a.txt z-hard; mkfifo f; chmod 4755 a-" },
      cwd = box.context })
    local answer, stats = box:files {}
    assert.equal("a a/b a/b/c a- a.txt big empty f link z-hard", daemons.paths(answer))
    assert.same({ ["a/b/c"] = "deep", ["a.txt"] = "beside", big = 160000 }, answer.content)
    local by_path = {}
    for _, stat in ipairs(answer.stats) do
      by_path[stat.path] = stat
      assert.equal(0, stat.uid)
    end
    assert.equal("a.txt", by_path["z-hard"].link)
    assert.equal("a/b", by_path.link.link)
    assert.equal(1 << 31 | tonumber("755", 8), by_path.a.mode)
    assert.equal(1 << 27 | tonumber("777", 8), by_path.link.mode)
    assert.equal(1 << 23 | tonumber("755", 8), by_path["a-"].mode)
    assert.equal(1 << 25, by_path.f.mode & 1 << 25)
    assert.equal(3, answer.fin)
    assert.equal("0", answer.status)
    assert.is_nil(stats) -- the scene hangs up
  end)

  it("sends extended attributes, as fsutil does", function()
    box:write("d/program", "x")
    assert(fs.symlink("d/program", box.context .. "/link"))
    local set = assert(proc.run { cwd = box.context, argv = { "/usr/bin/python3", "-c", [[
import os
cap = bytes.fromhex("0100000200200000000000000000000000000000")
os.setxattr("d/program", "security.capability", cap)
try: os.setxattr("d", "user.k", b"")
except OSError: os.setxattr("d", "trusted.k", b"")]] } })
    if set.code ~= 0 then return pending "skipped where nobody may set a capability" end
    local of = {}
    for _,
      stat in ipairs(box:files({}).stats) do of[stat.path] = stat.attributes:gsub("%x%x", function(byte)
      return string.char(tonumber(byte, 16))
    end) end
    assert.equal("\10\19security.capability\18\20\1\0\0\2\0\32" .. ("\0"):rep(14), of["d/program"])
    assert.is_true(of.d == "\10\6user.k" or of.d == "\10\9trusted.k", of.d)
    assert.equal("", of.link)
  end)

  it("sends nothing but entries when nothing is asked for", function()
    box:write("one", "1")
    local s <close> =
      assert(box:open(box:start("files", { meta = { { "dir-name", "context" } }, want = json.array {} }),
      { dirs = { context = box.context } }))
    assert.same({}, box:said().content)
    s:wait()
    assert.same({ 1, 0, 0 }, { s:stats().entries, s:stats().files, s:stats().bytes })
  end)

  it("leaves out what the patterns exclude", function()
    for _,
      name in ipairs { "keep", "drop.log", "d/drop.log", "d/keep.log", "vendor/x/y", "only/z" } do
      box:write(name, name)
    end
    local answer = box:files { meta = { { "dir-name", "context" }, { "exclude-patterns", "**/*.log" },
      { "exclude-patterns", "!d/keep.log" }, { "exclude-patterns", "vendor" },
      { "exclude-patterns", "#not a comment" },
      { "exclude-patterns", "only" } } }
    assert.equal("d d/keep.log keep", daemons.paths(answer))
    box:stop()
    answer =
      box:files { meta = { { "dir-name", "context" }, { "include-patterns", "vendor/x" },
      { "include-patterns", "k*" } } }
    assert.equal("keep vendor vendor/x vendor/x/y", daemons.paths(answer))
  end)

  it("takes patterns as they come, not as lines of a file", function()
    for _, name in ipairs { "#c", "slash", "xx/a", "d/a", "d/b" } do box:write(name, name) end
    local answer = box:files { meta = { { "dir-name", "context" }, { "exclude-patterns", "#c" },
      { "exclude-patterns", "/slash" }, { "exclude-patterns", "xx" }, { "exclude-patterns", "d" },
      { "exclude-patterns", "!x{2}/*" }, { "exclude-patterns", "!d/b" } } }
    assert.equal("d d/b slash", daemons.paths(answer)) -- fsutil looks for a directory "x{2}"
    box:stop()
    answer =
      box:files { meta = { { "dir-name", "context" }, { "include-patterns", "d" },
      { "include-patterns", "." },
      { "followpaths", "d/a" } } }
    assert.equal("#c d d/a d/b slash xx xx/a", daemons.paths(answer))
  end)

  it("follows links of the paths that a daemon names", function()
    box:write("docker/real", "FROM scratch\n")
    box:write("other", "x")
    assert(fs.symlink("docker/real", box.context .. "/Dockerfile"))
    assert(fs.symlink("../../../../../etc", box.context .. "/out"))
    local answer = box:files { meta = { { "dir-name", "context" }, { "followpaths", "Dockerfile" },
      { "followpaths", "Dockerfile.dockerignore" }, { "followpaths", "out/passwd" } } }
    assert.equal("Dockerfile docker docker/real out", daemons.paths(answer))
  end)

  it("goes where a link leads the first time that it comes to it, as fsutil does", function()
    for _, name in ipairs { "d/k", "d/other", "e/k", "w/x" } do box:write(name, name) end
    assert(fs.symlink("d", box.context .. "/link"))
    for i, name in ipairs { "e", "w" } do
      assert(fs.symlink("../" .. name, box.context .. "/d/l" .. i))
    end
    local function follow(...)
      local meta = { { "dir-name", "context" } }
      for _, path in ipairs { ... } do meta[#meta + 1] = { "followpaths", path } end
      local found = daemons.paths(box:files { meta = meta })
      box:stop()
      return found
    end
    assert.equal("d d/k link", follow("link/k", "link"))
    assert.equal("d d/k d/l1 d/l2 d/other link", follow("link", "link/k"))
    assert.equal("d d/l1 d/l2 e e/k", follow("d/l*/k"))
  end)

  it("sends nothing for a path that climbs out, as fsutil does", function()
    box:write("a", "x")
    for _, path in ipairs { "..", "../*", "a/../../*", "/../a" } do
      local answer = box:files { meta = { { "dir-name", "context" }, { "followpaths", path } } }
      assert.equal("", daemons.paths(answer), path)
      box:stop()
    end
  end)

  it("takes patterns in Go's query escapes", function()
    box:write("ü b", "x")
    box:write("c", "x")
    local answer = box:files { meta = { { "dir-name", "context" }, { "exclude-patterns-encoded", "1" },
      { "exclude-patterns", "%C3%BC+b" } } }
    assert.equal("c", daemons.paths(answer))
  end)

  it("serves a text as the Dockerfile", function()
    local answer =
      box:files({ meta = { { "dir-name", "dockerfile" }, { "followpaths", "Dockerfile" } } },
      { dockerfile_text = "FROM x\n" })
    assert.same({ Dockerfile = "FROM x\n" }, answer.content)
  end)

  it("refuses a directory that is not given", function()
    local _ <close> =
      assert(box:open(box:start("ask", { { "/moby.filesync.v1.FileSync/DiffCopy", "" } }),
      { dirs = { x = box.dir } }))
    assert.same({ { "5", json.null } }, box:said().answers)
  end)

  it("tells the daemon and the caller of a pattern that is none", function()
    local answer, _, err =
      box:files { meta = { { "dir-name", "context" }, { "exclude-patterns", "[a" } } }
    assert.matches("pattern", answer.error)
    assert.equal("usage", err.kind)
  end)

  it("tells of a file that cannot be read", function()
    box:write("gone", "x")
    assert(proc.run { argv = { "sh", "-c",
      "rm gone && mkdir deep && cd deep && for i in $(seq 1100); do mkdir d && cd d; done" },
      cwd = box.context })
    local answer, _, err = box:files {}
    assert.matches("deeper than 1000", answer.error)
    assert.equal("limit", err.kind)
    assert(proc.run { argv = { "rm", "-rf", box.context .. "/deep" } })
  end)
end)
