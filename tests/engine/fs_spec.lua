local fs = require "orch.fs"
local proc = require "orch.proc"
local tar = require "orch.tar"

describe("fs", function()
  local dir
  before_each(function() dir = assert(fs.make_temp("/tmp/orch-spec-")) end)
  after_each(function() assert(fs.remove(dir)) end)

  it("writes whole files and reads them back", function()
    assert(fs.write(dir .. "/a", "one\0two", { mode = 384 }))
    assert.equal("one\0two", fs.read(dir .. "/a"))
    assert.equal(384, fs.stat(dir .. "/a").mode)
    assert(fs.append(dir .. "/a", "!"))
    assert.equal("one\0two!", fs.read(dir .. "/a"))
    assert.same({ "a" }, fs.list(dir))
  end)

  it("keeps the old file when the new one cannot be written", function()
    local ok, err = fs.write(dir .. "/no/such", "x")
    assert.is_nil(ok)
    assert.equal("missing", err.kind)
    assert.matches("no/such", tostring(err), 1, true)
  end)

  it("refuses to read past the ceiling", function()
    assert(fs.write(dir .. "/big", ("x"):rep(100)))
    local _, err = fs.read(dir .. "/big", 99)
    assert.equal("limit", err.kind)
    assert.equal(100, #fs.read(dir .. "/big", 100))
  end)

  it("makes parents, and finds a file in the way", function()
    assert(fs.make_dir(dir .. "/x/y/z"))
    assert(fs.make_dir(dir .. "/x/y/z"))
    assert(fs.write(dir .. "/file", ""))
    local _, err = fs.make_dir(dir .. "/file")
    assert.equal("conflict", err.kind)
  end)

  it("removes trees without following links", function()
    assert(fs.make_dir(dir .. "/out"))
    assert(fs.write(dir .. "/out/kept", "k"))
    assert(fs.make_dir(dir .. "/tree/deep"))
    assert(fs.symlink(dir .. "/out", dir .. "/tree/deep/link"))
    assert(fs.write(dir .. "/tree/deep/f", "f"))
    assert(fs.chmod(dir .. "/tree/deep", 0))
    assert(fs.remove(dir .. "/tree"))
    assert.same({ "out" }, fs.list(dir))
    assert.equal("k", fs.read(dir .. "/out/kept"))
    assert(fs.remove(dir .. "/never was"))
  end)

  it("joins and cleans paths", function()
    assert.equal("/a/c", fs.join("/a/b", "../c"))
    assert.equal("/c", fs.join("/a/b", "/c"))
    assert.equal("/", fs.join("/", "../.."))
    assert.equal("../x", fs.join(".", "../x"))
    assert.equal(".", fs.join("", ""))
  end)

  it("matches as Go's filepath.Match does, and **", function()
    local table_of = {
      { "*", "abc", true }, { "*", "a/c", false }, { "a*/b", "abc/b", true },
      { "a?c", "a/c", false },
      { "[a-c]x", "bx", true }, { "[^a-c]x", "bx", false }, { "*", ".hidden", true },
      { "\\*", "*", true }, { "\\*", "a", false }, { "**/x", "x", true }, { "**/x", "a/b/x", true },
      { "**/x", "ax", false }, { "a/**", "a/b/c", true }, { "a**b", "a/x/b", true },
      { "*a*b*c", "xxaxxbxxc", true }, { "", "", true }, { "a", "", false },
      { "**/b/*.c", "a/b/x/b/y.c", true },
    }
    for _, case in ipairs(table_of) do
      assert.equal(case[3], fs.matches(case[1], case[2]), case[1] .. " on " .. case[2])
    end
    for _, bad in ipairs { "[", "[]", "[a", "a\\", "[-]", "[a-]" } do
      local _, err = fs.matches(bad, "x")
      assert.equal("usage", err.kind, bad)
    end
  end)

  it("locks against a second holder until released", function()
    local lock = assert(fs.lock(dir .. "/lock"))
    local _, err = fs.lock(dir .. "/lock")
    assert.equal("conflict", err.kind)
    lock:release()
    assert(fs.lock(dir .. "/lock")):release()
  end)

  it("does not wait for the other end of a FIFO, nor put a file in its place", function()
    local fifo = dir .. "/fifo"
    assert.equal(0, assert(proc.run { argv = { "mkfifo", fifo } }).code)
    for name, try in pairs {
      read = function() return fs.read(fifo) end,
      write = function() return fs.write(fifo, "x") end,
      append = function() return fs.append(fifo, "x") end,
      linked = function() fs.symlink(fifo, dir .. "/link") return fs.read(dir .. "/link") end,
      packed = function() return tar.pack { root = dir, paths = { "link" }, file = fifo } end,
    } do
      local good, err = try()
      assert.is_nil(good, name)
      assert.equal("conflict", err.kind, name)
      assert.matches("is a FIFO, not a file", err.message, 1, true)
    end
    local _, err = fs.lock(fifo)
    assert.matches("Invalid argument", tostring(err))
    assert.equal("other", fs.stat(fifo).type)
  end)

  it("writes to a device and leaves it there; a directory is no file", function()
    local null = fs.stat("/dev/null").type
    assert(fs.symlink("/dev/null", dir .. "/null"))
    assert(fs.write(dir .. "/null", "x", { durable = true }))
    assert.equal("", fs.read(dir .. "/null"))
    assert.equal("link", fs.stat(dir .. "/null").type)
    assert.equal(null, fs.stat("/dev/null").type)
    for name,
      failure in pairs { read = select(2, fs.read(dir)), write = select(2, fs.write(dir, "x")),
      append = select(2, fs.append(dir, "x")) } do
      assert.equal(dir .. " is a directory, not a file", failure.message, name)
    end
  end)

  it("reads a pipe that orch was given, as shells do for <(command)", function()
    local script = ('{ sleep 0.05; echo given; } | "$0" lua %s/read.lua'):format(dir)
    assert(fs.write(dir .. "/read.lua", 'io.write(assert(require "orch.fs".read("/dev/fd/0")))'))
    local result =
      assert(proc.run { argv = { "sh", "-c", script, fs.real_path "/proc/self/exe" },
      timeout = 30 })
    assert.equal("given\n", result.stdout)
  end)

  it("takes no path that the kernel would see cut short", function()
    local path = dir .. "/kept"
    assert(fs.write(path, "x"))
    assert.error_matches(function() fs.remove(path .. "\0.tmp") end, "zero byte")
    assert.error_matches(function() fs.rename(path, path .. "\0") end, "zero byte")
    assert.error_matches(function() fs.write(path .. "\0a", "y") end, "zero byte")
    assert.equal("x", fs.read(path))
  end)

  it("refuses unknown options", function()
    assert.has_error(function() fs.write(dir .. "/a", "", { mod = 1 }) end,
      "fs.write: unknown option 'mod' (known: mode, durable)")
  end)
end)
