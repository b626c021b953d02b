local fs = require "orch.fs"
local proc = require "orch.proc"
local trees = require "engine.trees"

local PROGRAM <const> = fs.real_path("/proc/self/exe")
local SHIM <const> = trees.SHIM
local marked <const>, none_left <const> = trees.marked, trees.none_left

describe("the shim", function()
  local dir, mark
  before_each(function()
    dir = assert(fs.make_temp("/tmp/orch-spec-"))
    mark = trees.new_mark()
  end)
  after_each(function()
    none_left(mark, 0)
    assert(fs.remove(dir))
  end)

  local function escape(last, options) return trees.escape(mark, dir, last, options) end

  it("is small and needs no library", function()
    local stat = assert(fs.stat(SHIM))
    assert.is_true(stat.size < 100 << 10, stat.size)
    local bytes = assert(fs.read(SHIM))
    assert.equal("\127ELF", bytes:sub(1, 4))
    local at, size = string.unpack("<I8", bytes, 0x21), string.unpack("<I2", bytes, 0x37)
    local count = string.unpack("<I2", bytes, 0x39)
    assert.is_true(count > 0)
    for i = 0, count - 1 do
      assert.not_equal(3, (string.unpack("<I4", bytes, at + i * size + 1)), "PT_INTERP")
    end
  end)

  it("says how it is called", function()
    local result = assert(proc.run { argv = { SHIM } })
    assert.equal(2, result.code)
    assert.matches("^usage: orch%-shim", result.stdout)
  end)

  it("ends the whole tree when the child is cancelled", function()
    local child = escape("sleep 1000", { grace = 0.1 })
    assert.equal("ready\n", child:read())
    assert.is_true(#marked(mark) >= 5)
    child:cancel()
    assert.equal("cancelled", select(2, child:wait()).kind)
    assert.same({}, marked(mark))
  end)

  it("ends what a step leaves running, and keeps its status", function()
    local child = escape "exit 9"
    assert.equal("ready\n", child:read())
    local result = assert(child:wait())
    assert.equal(9, result.code)
    assert.same({}, marked(mark))
  end)

  it("ends the tree when the program is killed by a signal, and tells which", function()
    local result = assert(escape("kill -9 $$"):wait())
    assert.same({ -1, 9 }, { result.code, result.signal })
    assert.same({}, marked(mark))
  end)

  it("ends the whole tree when the time is over", function()
    local _, failure = escape("sleep 1000", { grace = 0.05, timeout = 0.5 }):wait()
    assert.equal("timeout", failure.kind)
    assert.same({}, marked(mark))
  end)

  it("observes the grace before it kills", function()
    local child = assert(proc.start { grace = 0.15, argv = { "/bin/sh", "-c",
      "trap 'sleep 0.05; echo cleaned; exit' TERM; echo ready; while :; do sleep 0.005; done" } })
    child:read()
    child:cancel()
    local rest = {}
    for piece in child.read, child do rest[#rest + 1] = piece end
    assert.matches("cleaned", table.concat(rest))
  end)

  it("is no child of orch, and not in the group of what runs it", function()
    local child = assert(proc.start { argv = { "/bin/sh", "-c", "echo $$ $PPID; sleep 1000" } })
    local program, keeper = child:read():match("(%d+) (%d+)")
    assert.equal(tonumber(program), child:pid())
    local group = assert(fs.read(("/proc/%s/stat"):format(keeper))):match("^.*%) %S %d+ (%d+)")
    assert.not_equal(program, group)
    assert.equal("", assert(fs.read(("/proc/%s/environ"):format(keeper))))
    assert.not_equal(tonumber(assert(fs.read("/proc/self/stat")):match("^(%d+)")), tonumber(keeper))
    child:cancel()
    child:wait()
  end)

  it("keeps one program after another, and nothing of those before", function()
    local keepers, descriptors = {}, nil
    for i = 1, 20 do
      local result =
        assert(proc.run { argv = { "/bin/sh", "-c",
        "sleep 0.01; echo $PPID; ls /proc/$PPID/fd | wc -l" },
        input = i % 2 == 0 and "x" or nil, split = i % 3 == 0 })
      local keeper, count = result.stdout:match("(%d+)%s+(%d+)")
      keepers[keeper], descriptors = true, descriptors or count
      assert.equal(descriptors, count)
    end
    assert.is_nil(next(keepers, (next(keepers))))
  end)

  it("takes arguments and environments of any size that the kernel takes", function()
    local long = ("x"):rep(100000)
    local result = assert(proc.run { env = { LONG = long },
      argv = { "/bin/sh", "-c", 'printf "%s" "$1$2$LONG"', "sh", long, long } })
    assert.equal(300000, #result.stdout)
    for _, size in ipairs { 200000, 20 << 20 } do
      local none, failure = proc.run { argv = { "/bin/echo", ("x"):rep(size) } }
      assert.is_nil(none)
      assert.matches("Argument list too long", failure.message)
    end
  end)

  it("is deaf to what a program tells its parent", function()
    local result = assert(proc.run { argv = { "/bin/sh", "-c",
      "kill $PPID; kill -HUP $PPID; kill -INT $PPID; exit 3" } })
    assert.equal(3, result.code)
  end)

  it("gives the program usual signals and no descriptor of ours", function()
    -- 3: ls reads the directory
    local given = { ["0"] = true, ["1"] = true, ["2"] = true, ["3"] = true }
    for _, fd in ipairs(fs.list("/proc/self/fdinfo")) do -- what orch itself was given
      local info = fs.read("/proc/self/fdinfo/" .. fd)
      if info and tonumber(info:match("flags:%s*(%d+)"), 8) & tonumber("2000000", 8) == 0 then
        given[fd] = true
      end
    end
    local result = assert(proc.run { argv = { "/bin/sh", "-c",
      "ls /proc/self/fd; grep -E 'Sig(Ign|Blk)' /proc/self/status" } })
    for fd in result.stdout:match("^(.-)SigBlk"):gmatch("%d+") do assert.is_true(given[fd], fd) end
    local masks = 0
    for mask in result.stdout:gmatch("Sig%w+:%s+(%x+)") do
      masks = masks + 1
      assert.equal(0, tonumber(mask, 16))
    end
    assert.equal(2, masks)
  end)

  it("gives the program the limit of descriptors that orch was given", function()
    local limited = assert(proc.run { argv = { "/bin/sh", "-c",
      "ulimit -Sn 512; exec \"$0\" lua \"$1\"", PROGRAM, (function()
        assert(fs.write(dir .. "/limit.lua",
          [[io.write(assert(require "orch.proc".run { argv = { "sh", "-c", "ulimit -n" } }).stdout)]]))
        return dir .. "/limit.lua"
      end)() } })
    assert.equal("512\n", limited.stdout)
  end)
end)
