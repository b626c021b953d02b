local fs = require "orch.fs"
local proc = require "orch.proc"
local tar = require "orch.tar"
local task = require "orch.task"

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")

local pid = io.open("/proc/self/stat"):read "n"

local function sh(script, ...)
  local done = assert(proc.run { argv = { "sh", "-euc", script, "sh", ... } })
  assert.equal(0, done.code, done.stdout)
  return done.stdout
end

describe("tar.unpack", function()
  local dir, into, outside
  before_each(function()
    dir = assert(fs.make_temp("/tmp/orch-spec-"))
    into, outside = dir .. "/into", dir .. "/outside"
    assert(fs.make_dir(into))
    assert(fs.make_dir(outside))
    assert(fs.write(outside .. "/victim", "untouched"))
  end)
  after_each(function() assert(fs.remove(dir)) end)

  local function make(case)
    sh("python3 \"$@\"", here .. "/servers/hostile_tar.py", case, dir .. "/t", outside)
    return dir .. "/t"
  end

  local function unpack(case, options)
    local given = { file = make(case), into = into }
    for key, value in pairs(options or {}) do given[key] = value end
    local result, err = tar.unpack(given)
    assert.equal("untouched", fs.read(outside .. "/victim"), case)
    assert.same({ "victim" }, fs.list(outside), case)
    assert.equal("1", sh("stat -c %h \"$1\"", outside .. "/victim"):match "%d+", case)
    assert.is_nil(fs.stat(dir .. "/x"), case)
    assert.same({ "into", "outside", "t" }, fs.list(dir), case)
    return result, err
  end

  local function read(path) return (assert(fs.read(into .. "/" .. path))) end

  local refused = {
    failed = { "absolute", "absolute_dir", "dotdot", "dotdot_inside", "dotdot_dir",
      "through_absolute",
      "through_relative", "through_chain", "through_deep", "through_proc", "through_dir",
      "through_symlink", "through_dangling", "link_absolute", "link_dotdot", "link_symlink",
      "link_through", "link_dir", "link_into", "fifo", "char_device", "block_device", "top_file",
      "top_symlink", "odd_name", "swap_parent", "replaced_parent" },
    missing = { "link_missing" },
    limit = { "long_name", "huge", "bomb" },
    remote = { "cut_content", "cut_between", "cut_gzip", "nothing", "nonsense", "damaged",
      "pax_length", "pax_endless", "pax_letters", "pax_nameless", "pax_valueless", "pax_sparse",
      "pax_behind_name" },
  }
  for kind, cases in pairs(refused) do
    for _, case in ipairs(cases) do
      it("refuses " .. case .. " as " .. kind, function()
        local result, err = unpack(case)
        assert.is_nil(result)
        assert.equal(kind, err.kind, err.message)
      end)
    end
  end

  it("names the refused entry in printable characters", function()
    local _, err = unpack "odd_name"
    assert.matches([['../a\x0a\x1b[31m\xff']], err.message, 1, true)
  end)

  it("replaces a symbolic link in place of following it", function()
    assert(unpack "over_symlink")
    assert.equal("new", read "f")
    fs.remove(into .. "/f")
    assert(unpack "dir_over_symlink")
    assert.equal("in", read "d/x")
    assert.equal("directory", fs.stat(into .. "/d").type)
  end)

  it("does not write through a hard link", function()
    assert(unpack "over_link")
    assert.equal("one", read "f")
    assert.equal("two", read "g")
  end)

  it("lets the later entry win, whatever it replaces", function()
    local result = assert(unpack("replacing", { list = true }))
    assert.equal("file", read "a")
    assert.equal("in", read "f/x")
    assert.equal("implied", read "p/q")
    assert.equal("second", read "twice")
    assert.equal("link", fs.stat(into .. "/l").type)
    assert.same({ "a", "a/b/c", "f", "f/x", "l", "l/x", "p", "p/q", "twice" }, result.paths)
    assert(unpack "replacing") -- and over what an earlier archive left
    assert.equal("second", read "twice")
  end)

  it("keeps modes, less set-id bits, and gives directories theirs at the end", function()
    assert(unpack "modes")
    assert.equal(0, fs.stat(into .. "/none").mode)
    assert(fs.chmod(into .. "/none", 448)) -- for a find that is not root's
    local modes = sh("cd \"$1\"; find . -mindepth 1 -printf '%P %m\\n' | sort", into)
    assert.equal("again 750\nagain/f 644\nnone 700\nnone/f 755\nro 555\nro/f 444\nsticky 1777\n",
      modes)
    assert(unpack "modes") -- into directories that may not be written
  end)

  it("keeps names as bytes", function()
    local paths = assert(unpack("names", { list = true })).paths
    assert.same({ "d/" .. ("d/"):rep(99) .. "deep", "dot/slash/f", "link", "n", "new\nline",
      ("é"):rep(60), "\xff" .. ("b"):rep(110), "\xff\xfe" }, paths)
    assert.equal("2", read "\xff\xfe")
    assert.equal("5", read(("d/"):rep(100) .. "deep"))
    assert.equal(("t"):rep(150) .. "é", sh("readlink \"$1\"", into .. "/link"):sub(1, -2))
  end)

  it("goes through links that stay inside", function()
    assert(unpack "inside")
    assert.equal("x", read "real/x")
    assert.equal("x", read "h")
    assert.equal("3", sh("stat -c %h \"$1\"", into .. "/h2"):match "%d+")
  end)

  it("keeps out of links altogether where the kernel lacks openat2", function()
    local script = [[local tar = require "orch.tar"
      local result, err = tar.unpack { file = ..., into = select(2, ...) }
      print(result and "good" or err.kind)]]
    assert(fs.write(dir .. "/script.lua", script))
    local function kind(case)
      make(case)
      assert(fs.remove(into))
      assert(fs.make_dir(into))
      return sh("python3 \"$@\"", here .. "/servers/no_openat2.py", "/proc/" .. pid .. "/exe",
        "lua",
        dir .. "/script.lua", dir .. "/t", into)
    end
    for _, case in ipairs(refused.failed) do assert.equal("failed\n", kind(case), case) end
    for _, case in ipairs { "replacing", "modes", "names", "over_symlink", "dir_over_symlink" } do
      assert.equal("good\n", kind(case), case)
    end
    assert.equal("failed\n", kind "inside")
    assert.same({ "victim" }, fs.list(outside))
  end)

  it("has ceilings for entries and bytes", function()
    assert(unpack("plenty", { entries_max = 100, bytes_max = 10000 }))
    local _, err = unpack("plenty", { entries_max = 99 })
    assert.equal("limit", err.kind)
    _, err = unpack("plenty", { bytes_max = 9999 })
    assert.equal("limit", err.kind)
    _, err = tar.list { file = dir .. "/t", entries_max = 99 }
    assert.equal("limit", err.kind)
  end)

  it("takes what is said to hold a thousand times its size only from who is ready for it", function()
    local _, err = unpack "bomb"
    assert.same({ "limit", dir .. "/t holds more than 4294967296 bytes, with entry 'f'" },
      { err.kind, err.message })
    _, err = tar.list { file = dir .. "/t" }
    assert.equal("limit", err.kind)
    _, err = unpack("bomb", { bytes_max = 6 << 30 })
    assert.equal("remote", err.kind) -- it was cut
  end)

  it("makes no more directories for entries' names than there may be entries", function()
    assert.equal(2, assert(unpack("ways", { entries_max = 30 })).entries)
    assert(fs.remove(into))
    assert(fs.make_dir(into))
    local _, err = unpack("ways", { entries_max = 29 })
    assert.equal("limit", err.kind)
  end)

  it("reads no further into a compressed link than its limit", function()
    local _, err = unpack("swollen_link", { entries_max = 9, bytes_max = 9 })
    assert.same({ "limit", dir .. "/t holds more than its entries may" }, { err.kind, err.message })
    _, err = unpack("swollen_link", { entries_max = 9, bytes_max = 100 << 20 })
    assert.equal("remote", err.kind)
  end)

  it("takes an empty archive, and does not mind what is behind the end", function()
    assert.same({ entries = 0, bytes = 0 }, unpack "empty")
    assert.equal(1, assert(unpack "garbage_after").entries)
  end)

  it("reads what GNU tar writes, sparse files too", function()
    local made = dir .. "/made"
    sh([[mkdir "$1"; cd "$1"; echo a > a; mkdir d; echo b > d/b; ln d/b hard; ln -s a soft
      truncate -s 3M hole; printf end >> hole; truncate -s 5M hole; head -c 300000 /dev/zero | tr "\\0" x > many
      mkdir -p "$(printf 'n%.0s' $(seq 200))"; touch -d @1 a d]], made)
    for _, how in ipairs { "--format=gnu -Scf", "--format=posix -Scf", "--format=ustar -zcf",
      "--format=gnu -I zstd -Scf", "--format=v7 -cf" } do
      sh("cd \"$1\"; tar " .. how .. " ../t $(ls | grep -v "
        .. ((how:find "v7" or how:find "ustar") and "nn" or "zz") .. ")", made)
      assert(fs.remove(into))
      assert(fs.make_dir(into))
      assert(tar.unpack { file = dir .. "/t", into = into })
      sh([[diff -r --no-dereference "$1" "$2" | grep -v '^Only in .*: nnn' && exit 1
        test "$2/hard" -ef "$2/d/b"; test $(stat -c %Y "$2/a") = 1; test $(stat -c %Y "$2/d") = 1]],
        made, into)
    end
    assert(fs.remove(made))
  end)

  it("says what is missing", function()
    local _, err = tar.unpack { file = dir .. "/none", into = into }
    assert.equal("missing", err.kind)
    _, err = tar.unpack { file = make "plenty", into = dir .. "/none" }
    assert.equal("missing", err.kind)
    _, err = tar.unpack { file = into, into = into }
    assert.equal("usage", err.kind)
  end)

  it("refuses unknown options", function()
    assert.error_matches(function() tar.unpack { file = "x", into = "y", owner = true } end,
      "unknown option 'owner'")
    assert.error_matches(function() tar.list { file = "x", into = "y" } end,
      "unknown option 'into'")
  end)

  it("is cancelled in mid-flight", function()
    sh("cd \"$1\"; truncate -s 3G big; tar cf t big; rm big", dir)
    local start = os.time()
    local running = task.spawn(function() return tar.unpack { file = dir .. "/t", into = into } end)
    task.sleep(0.05)
    running:cancel("enough")
    local ok, err = running:join()
    assert.is_false(ok)
    assert.equal("enough", err.message)
    assert.is_true(os.time() - start <= 2)
  end)
end)

describe("tar.check", function()
  it("reads to the end, and gives what is there or what is wrong with it", function()
    local dir <close> = setmetatable({ path = assert(fs.make_temp("/tmp/orch-spec-")) },
      { __close = function(self) assert(fs.remove(self.path)) end })
    local file = dir.path .. "/t"
    local function check(case, options)
      sh("python3 \"$@\"", here .. "/servers/hostile_tar.py", case, file, dir.path)
      options = options or {}
      options.file = file
      return tar.check(options)
    end
    assert.same({ entries = 100, bytes = 10000 }, assert(check "plenty"))
    for kind, cases in pairs { remote = { "cut_content", "cut_between", "cut_gzip", "damaged" },
      limit = { "bomb", "huge" } } do
      for _, case in ipairs(cases) do
        local checked, err = check(case)
        assert.is_nil(checked, case)
        assert.equal(kind, err.kind, case)
      end
    end
    assert.equal("limit", select(2, check("plenty", { entries_max = 99 })).kind)
    assert.same({ "t" }, fs.list(dir.path))
  end)
end)

describe("tar.list", function()
  it("gives every entry in the archive's order", function()
    local dir = assert(fs.make_temp("/tmp/orch-spec-"))
    sh([[cd "$1"; mkdir d; printf abc > d/f; ln d/f h; ln -s ../x s; mkfifo p; chmod 640 d/f
      tar --format=gnu -cf t d/f h s p d]], dir)
    assert.same({
      { path = "d/f", type = "file", size = 3, mode = 416 },
      { path = "h", type = "hardlink", size = 0, mode = 416, linkname = "d/f" },
      { path = "s", type = "symlink", size = 0, mode = 511, linkname = "../x" },
      { path = "p", type = "fifo", size = 0, mode = 420 },
      { path = "d/", type = "directory", size = 0, mode = 493 },
      { path = "d/f", type = "hardlink", size = 0, mode = 416, linkname = "d/f" },
    }, tar.list { file = dir .. "/t" })
    assert(fs.remove(dir))
  end)
end)
