local fs = require "orch.fs"
local proc = require "orch.proc"
local task = require "orch.task"

local PROGRAM <const> = fs.real_path("/proc/self/exe")
local LIBRARIES <const> = PROGRAM:match("^(.*)/[^/]*$")
local SHIM <const> = fs.stat(LIBRARIES .. "/lib/orch-shim") and LIBRARIES .. "/lib/orch-shim"
  or LIBRARIES .. "/../lib/orch/orch-shim"

local made = 0
local function new_mark()
  made = made + 1
  return ("ORCH_SPEC_MARK=%d.%d.%d"):format(os.time(), task.clock() * 1000 // 1, made)
end

-- Who has the mark in its environment or arguments, by process id.
local function marked(mark)
  local found = {}
  for _, pid in ipairs(fs.list("/proc")) do
    for _, name in ipairs { "/environ", "/cmdline" } do
      local file = pid:match("^%d+$") and io.open("/proc/" .. pid .. name, "rb")
      if file then
        if (file:read("a") or ""):find(mark, 1, true) then found[#found + 1] = pid end
        file:close()
      end
    end
  end
  return found
end

local function wait_until(f, seconds)
  local deadline = task.clock() + seconds
  while not f() and task.clock() < deadline do task.sleep(0.01) end
  return f()
end

local function none_left(mark, seconds)
  local gone = wait_until(function() return #marked(mark) == 0 end, seconds)
  if not gone then -- never leave them for others to find
    for _, pid in ipairs(marked(mark)) do proc.run { argv = { "kill", "-9", pid } } end
  end
  return gone
end

-- A program that leaves the tree in every way there is: twice forked, a session of its own, stopped,
-- deaf to TERM. Each says so in a file; then it prints "ready" and does the last line.
local ESCAPE <const> = [[
  export DIR=$1
  (setsid sh -c 'echo > $DIR/session; exec sleep 1000' &)
  (sh -c '(echo > $DIR/twice; exec sleep 1000) &' &)
  (sh -c 'echo > $DIR/stopped; kill -STOP $$; sleep 1000' &)
  (setsid sh -c 'trap "" TERM HUP INT; echo > $DIR/deaf; while :; do sleep 0.05; done' &)
  while [ "$(ls $DIR | wc -l)" -lt 4 ]; do sleep 0.005; done
  echo ready
]]

describe("the shim", function()
  local dir, mark
  before_each(function()
    dir = assert(fs.make_temp("/tmp/orch-spec-"))
    mark = new_mark()
  end)
  after_each(function()
    none_left(mark, 0)
    assert(fs.remove(dir))
  end)

  local function escape(last, options)
    options = options or {}
    options.argv = { "/bin/sh", "-c", ESCAPE .. last, "sh", dir }
    local environment = fs.environment()
    local name, value = mark:match("^(.-)=(.*)$")
    environment[name] = value
    options.env = environment
    return assert(proc.start(options))
  end

  -- The parents of a process, nearest first: keeper, nursery, orch.
  local function parent_of(pid)
    local stat = fs.read(("/proc/%d/stat"):format(pid))
    return stat and math.tointeger(tonumber(stat:match("^.*%) %S (%d+)")))
  end

  it("is small and needs no library", function()
    local stat = assert(fs.stat(SHIM))
    assert.is_true(stat.size < 100 << 10, stat.size)
    local bytes = assert(fs.read(SHIM))
    assert.equal("\127ELF", bytes:sub(1, 4))
    local at, size, count = string.unpack("<I8", bytes, 0x21), string.unpack("<I2", bytes, 0x37), string.unpack("<I2", bytes, 0x39)
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

  it("ends the whole tree when orch is killed", function()
    assert(fs.write(dir .. "/script.lua", [[
      local dir, script = ...
      local child = assert(require "orch.proc".start { argv = { "/bin/sh", "-c", script, "sh", dir .. "/tree" },
        grace = 0.1 })
      print(child:read())
      io.stdout:flush()
      child:wait()]]))
    assert(fs.make_dir(dir .. "/tree"))
    for _, last in ipairs { "sleep 1000", "trap '' TERM; while :; do sleep 0.01; done" } do
      local environment = fs.environment()
      environment[mark:match("^(.-)=")] = mark:match("=(.*)$")
      local orch = assert(proc.start { argv = { PROGRAM, "lua", dir .. "/script.lua", dir, ESCAPE .. last },
        env = environment })
      assert.matches("ready", orch:read())
      local second -- orch itself, below our own shim
      for _, pid in ipairs(marked(mark)) do
        if fs.real_path("/proc/" .. pid .. "/exe") == PROGRAM then second = pid end
      end
      -- Our own keeper would end the tree: it has to be the inner one.
      local inner = assert(proc.run { argv = { "pgrep", "-P", second } }).stdout:match("%d+")
      assert.equal(fs.real_path(SHIM), fs.real_path("/proc/" .. inner .. "/exe"))
      assert(proc.run { argv = { "kill", "-9", second } })
      assert.is_true(none_left(mark, 2))
      assert.equal(9, assert(orch:wait()).signal)
      for _, name in ipairs(fs.list(dir .. "/tree")) do assert(fs.remove(dir .. "/tree/" .. name)) end
    end
  end)

  it("tells of a program that it could not start any more", function()
    assert(proc.run { argv = { "true" } })
    local child = assert(proc.start { argv = { "sleep", "1000" } })
    local nursery = parent_of(parent_of(child:pid()))
    local told
    for _ = 1, 20 do -- between its death and ours to know of it
      local running = task.spawn(function()
        for _ = 1, 40 do
          local result, failure = proc.run { argv = { "true" } }
          if not result then told = failure else assert(result.code == 0) end
        end
      end)
      if nursery then proc.kill(nursery, 9) end
      assert.same({ true }, { running:join() })
    end
    if told then assert.matches("somebody killed orch%-shim", told.message) end
    child:cancel()
    child:wait()
  end)

  -- Whoever dies, in whatever moment: nothing of the program's tree stays, and the engine goes on.
  it("leaves nothing running at random deaths of keeper, nursery and both", function()
    math.randomseed(os.time())
    for round = 1, tonumber(os.getenv("ORCH_TEST_DEATHS")) or 12 do
      assert(fs.make_dir(dir .. "/tree"))
      local environment = fs.environment()
      environment[mark:match("^(.-)=")] = mark:match("=(.*)$")
      local child = assert(proc.start { env = environment, grace = 0.05,
        argv = { "/bin/sh", "-c", ESCAPE .. "sleep 1000", "sh", dir .. "/tree" } })
      local keeper = parent_of(child:pid())
      local nursery = parent_of(keeper)
      task.sleep(math.random() * 0.06)
      if round % 3 ~= 1 then proc.kill(nursery, 9) end
      if round % 3 == 2 then child:cancel() else proc.kill(keeper, 9) end
      child:wait()
      task.sleep(0.02) -- who dies takes its time, and may be asked meanwhile
      if round % 3 ~= 0 then
        assert.is_true(none_left(mark, 2), "round " .. round)
      else -- nobody is left who could know: but the program itself goes with its parent
        assert.is_true(wait_until(function() return #marked(mark) <= 5 end, 2))
        none_left(mark, 0)
      end
      assert(fs.remove(dir .. "/tree"))
    end
  end)

  it("ends the tree of an orch that no shim is above", function()
    assert(fs.write(dir .. "/script.lua", [[
      local dir, script = ...
      local child = assert(require "orch.proc".start { argv = { "/bin/sh", "-c", script, "sh", dir .. "/tree" },
        grace = 30 })
      child:read()
      io.open(dir .. "/ready", "w"):close()
      child:wait()]]))
    assert(fs.make_dir(dir .. "/tree"))
    -- Started by a shell that is told to go on when the orch below it was killed.
    assert(fs.write(dir .. "/mark", "export " .. mark))
    local environment = fs.environment()
    environment.PROGRAM, environment.DIR = PROGRAM, dir
    environment.SCRIPT = ESCAPE .. "sleep 1000"
    local shell = assert(proc.start { env = environment, argv = { "/bin/sh", "-c",
      [[(. $DIR/mark; exec "$PROGRAM" lua $DIR/script.lua $DIR "$SCRIPT") & echo $!; sleep 1000]] } })
    local pid = assert(shell:read()):match("%d+")
    assert.truthy(wait_until(function() return fs.stat(dir .. "/ready") end, 10))
    assert.is_true(#marked(mark) >= 5)
    assert(proc.run { argv = { "kill", "-9", pid } })
    assert.is_true(none_left(mark, 2))
    shell:cancel()
    shell:wait()
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
      local result = assert(proc.run { argv = { "/bin/sh", "-c", "sleep 0.01; echo $PPID; ls /proc/$PPID/fd | wc -l" },
        input = i % 2 == 0 and "x" or nil, split = i % 3 == 0 })
      local keeper, count = result.stdout:match("(%d+)%s+(%d+)")
      keepers[keeper], descriptors = true, descriptors or count
      assert.equal(descriptors, count)
    end
    assert.is_nil(next(keepers, (next(keepers))))
  end)

  it("takes arguments and environments of any size that the kernel takes", function()
    local long = ("x"):rep(100000)
    local result = assert(proc.run { argv = { "/bin/sh", "-c", 'printf "%s" "$1$2$LONG"', "sh", long, long }, env = { LONG = long } })
    assert.equal(300000, #result.stdout)
    for _, size in ipairs { 200000, 20 << 20 } do
      local none, failure = proc.run { argv = { "/bin/echo", ("x"):rep(size) } }
      assert.is_nil(none)
      assert.matches("Argument list too long", failure.message)
    end
  end)

  it("ends the whole tree when it is killed, which is told", function()
    local child = escape "sleep 1000"
    assert.equal("ready\n", child:read())
    local keeper = parent_of(child:pid())
    assert.is_true(proc.kill(keeper, 9))
    local result = assert(child:wait())
    assert.same({ -1, 9 }, { result.code, result.signal })
    assert.is_true(none_left(mark, 2))
    assert.equal(0, assert(proc.run { argv = { "true" } }).code)
  end)

  it("is deaf to what a program tells its parent", function()
    local result = assert(proc.run { argv = { "/bin/sh", "-c", "kill $PPID; kill -HUP $PPID; kill -INT $PPID; exit 3" } })
    assert.equal(3, result.code)
  end)

  it("loses no program and no status when the nursery is killed", function()
    local slow = assert(proc.start { argv = { "/bin/sh", "-c", "sleep 0.3; exit 8" } })
    local nursery = parent_of(parent_of(slow:pid()))
    assert.equal(fs.real_path(SHIM), fs.real_path(("/proc/%d/exe"):format(nursery)))
    assert.is_true(proc.kill(nursery, 9))
    task.sleep(0.02)
    local many = {}
    for i = 1, 10 do
      many[i] = task.spawn(function() return assert(proc.run { argv = { "/bin/sh", "-c", "sleep 0.05; exit " .. i } }).code end)
    end
    for i = 1, 10 do assert.same({ true, i }, { many[i]:join() }) end
    assert.equal(8, assert(slow:wait()).code)
  end)

  it("gives the program usual signals and no descriptor of ours", function()
    local given = { ["0"] = true, ["1"] = true, ["2"] = true, ["3"] = true } -- 3: ls reads the directory
    for _, fd in ipairs(fs.list("/proc/self/fdinfo")) do -- what orch itself was given
      local info = fs.read("/proc/self/fdinfo/" .. fd)
      if info and tonumber(info:match("flags:%s*(%d+)"), 8) & tonumber("2000000", 8) == 0 then given[fd] = true end
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
