local fs = require "orch.fs"
local proc = require "orch.proc"
local tar = require "orch.tar"
local task = require "orch.task"

local function sh(script, ...)
  local done = assert(proc.run { argv = { "sh", "-euc", script, "sh", ... } })
  assert.equal(0, done.code, done.stdout)
  return done.stdout
end

describe("tar.pack", function()
  local dir, root, file
  before_each(function()
    dir = assert(fs.make_temp("/tmp/orch-spec-"))
    root, file = dir .. "/root", dir .. "/out"
    sh([[mkdir -p "$1"; cd "$1"; mkdir -p a/b a-b empty; echo 1 > a/b/c; echo 2 > a/x.txt
      echo 3 > a-b/y; echo 4 > .hidden; ln -s a link; ln a/x.txt a/z; chmod 2750 a/b; chmod 400 .hidden
      printf 5 > "$(printf 'n\nl')"; printf 6 > "$(printf '\377')"; printf 7 > "$(printf 'l%.0s' $(seq 180))"
      mkdir -p "$(printf 'deep/%.0s' $(seq 60))"; echo 8 > "$(printf 'deep/%.0s' $(seq 60))end"]], root)
  end)
  after_each(function() assert(fs.remove(dir)) end)

  local function pack(paths, options)
    local given = { root = root, paths = paths, file = file }
    for key, value in pairs(options or {}) do given[key] = value end
    return tar.pack(given)
  end

  local function paths(...) return assert(pack { ... }).paths end

  for name, filter in pairs { gzip = "gzip -dc", zstd = "zstd -qdc", none = "cat" } do
    it("writes what GNU tar reads, with digests, in " .. name, function()
      local packed = assert(pack({ "." }, { compression = name }))
      local sums = sh("sha256sum < \"$1\"; " .. filter .. " \"$1\" | sha256sum; stat -c %s \"$1\"",
        file)
      assert.equal(sums, ("%s  -\n%s  -\n%d\n"):format(packed.digest:sub(8), packed.diff_id:sub(8),
        packed.size))
      sh([[mkdir "$2"; tar xpf "$1" -C "$2"; diff -r --no-dereference "$3" "$2"; test "$2/a/z" -ef "$2/a/x.txt"
        l() { cd "$1"; find . -mindepth 1 -printf '%P %m %T@ %l\n' | sed 's/\.[0-9]* / /' | sort; }
        test "$(l "$2")" = "$(l "$3")"]], file, dir .. "/gnu", root)
    end)

    it("is read back by tar.unpack in " .. name, function()
      local packed = assert(pack({ "*" }, { compression = name }))
      assert(fs.make_dir(dir .. "/back"))
      local back = assert(tar.unpack { file = file, into = dir .. "/back", list = true })
      assert.same(packed.paths, back.paths)
      assert.equal(packed.entries, back.entries)
      sh("diff -r --no-dereference \"$1\" \"$2\"; test \"$2/a/z\" -ef \"$2/a/x.txt\"", root,
        dir .. "/back")
    end)
  end

  it("makes the same bytes of the same tree", function()
    for _, compression in ipairs { "gzip", "zstd" } do
      local one = assert(pack({ "*" }, { compression = compression }))
      sh("touch -a -d @5 \"$1\"/a/*; cp -a \"$1\" \"$1.2\"; rm -r \"$1\"; mv \"$1.2\" \"$1\"", root)
      assert.equal(one.digest, assert(pack({ "*" }, { compression = compression })).digest)
    end
    local fixed = assert(pack({ "*" }, { mtime = 0 }))
    sh("find \"$1\" -exec touch -h -d @77 {} +", root)
    assert.equal(fixed.digest, assert(pack({ "*" }, { mtime = 0 })).digest)
  end)

  it("selects as filepath.Glob does", function()
    assert.same({ "a/b/c", "a/x.txt", "a/z" }, paths "a")
    assert.same({ "a/b/c", "a/x.txt", "a/z" }, paths "./a/")
    assert.same({ "a/x.txt", "link/x.txt" }, paths "*/*.txt") -- a link is gone through, as there
    assert.same({ "a-b/y", "a/b/c", "a/z" }, paths("a?b/*", "a/[^x]", "none*"))
    assert.same({ ".hidden", "\xff" }, paths(".*", "\xff"))
    assert.same({ "link" }, paths "lin[k]")
    assert.same({}, paths "empty")
    assert.equal(2, assert(pack { "a/x.txt" }).entries) -- the directory above, too
  end)

  it("goes through a symbolic link that stays inside, and through no other", function()
    assert.same({ "link/x.txt" }, paths "link/*.txt")
    assert.equal("2\n", sh("tar xzOf \"$1\" link/x.txt", file))
    sh("ln -s / \"$1/out\"", root)
    for _, path in ipairs { "out/etc", "out/*" } do
      local _, err = pack { path }
      assert.equal("failed", err.kind)
    end
    assert.same({ "link" }, paths("link", "link/x.txt")) -- what is named itself stays a link
  end)

  it("says what did not match and what is there", function()
    local _, err = pack { "nothing*", "nor/this" }
    assert.equal("missing", err.kind)
    assert.matches("The specified paths did not match any files in " .. root, err.message, 1, true)
    assert.matches(".hidden", err.message, 1, true)
    _, err = tar.pack { root = "/tmp/none_$INDEX", paths = { "*" }, file = file }
    assert.equal("missing", err.kind)
    assert.matches("'$'", err.message, 1, true)
    assert.same({ "root" }, fs.list(dir))
  end)

  it("refuses what leads out of the root, and malformed patterns", function()
    for _, path in ipairs { "../x", "/etc", "a/../../x", "", "[a", "a\\" } do
      assert.equal("usage", select(2, pack { path }).kind)
    end
  end)

  it("refuses a socket or fifo by name", function()
    sh("mkfifo \"$1/a/pipe\"", root)
    local _, err = pack { "a" }
    assert.equal("failed", err.kind)
    assert.matches("a/pipe is a fifo", err.message, 1, true)
    assert.same({ "root" }, fs.list(dir))
  end)

  it("leaves itself out when it is written inside the tree", function()
    file = root .. "/out"
    local packed = assert(pack { "." })
    for _, path in ipairs(packed.paths) do assert.is_nil(path:match "^out") end
  end)

  it("tells when a file changes while it is read", function()
    sh("truncate -s 400M \"$1/growing\"", root)
    local writer =
      assert(proc.start { argv = { "sh", "-c", "while :; do echo x >> \"$1\"; sleep 0.02; done",
      "sh", root .. "/growing" } })
    local _, err = pack({ "growing" }, { compression = "none" })
    writer:cancel()
    writer:wait()
    assert.equal("conflict", err.kind)
    assert.matches("growing changed while it was being read", err.message, 1, true)
    assert.same({ "root" }, fs.list(dir))
  end)

  it("is cancelled in mid-flight and leaves nothing", function()
    sh("truncate -s 3G \"$1/big\"", root)
    local start = os.time()
    local running = task.spawn(function() return pack { "*" } end)
    task.sleep(0.05)
    running:cancel("enough")
    assert.is_false(running:join())
    assert.is_true(os.time() - start <= 2)
    assert.same({ "root" }, fs.list(dir))
  end)

  it("needs a directory for its file", function()
    file = dir .. "/no/such/file"
    assert.equal("missing", select(2, pack { "*" }).kind)
  end)

  it("refuses unknown options, compressions and levels", function()
    assert.error_matches(function() pack({ "*" }, { owner = 1 }) end, "unknown option 'owner'")
    assert.error_matches(function() pack({ "*" }, { compression = "xz" }) end, "'compression'")
    assert.error_matches(function() pack({ "*" }, { level = 10 }) end, "'level'")
    assert.is_not_nil(pack({ "*" }, { level = 9 }))
  end)

  it("stops at a thousand directories", function()
    sh("cd \"$1\"; python3 -c 'import os\nfor i in range(1010): os.mkdir(\"d\"); os.chdir(\"d\")'",
      root)
    local _, err = pack { "d" }
    assert.equal("limit", err.kind)
    sh("rm -r \"$1/d\"", root)
  end)
end)
