local fs = require "orch.fs"
local proc = require "orch.proc"
local task = require "orch.task"
local trees = require "engine.trees"

local PROGRAM <const> = fs.real_path("/proc/self/exe")
local SHIM <const> = trees.SHIM
local STOP <const>, CONT <const> = 19, 18
local ESCAPE <const>, parent_of <const> = trees.ESCAPE, trees.parent_of
local marked <const>, wait_until <const>, none_left <const> = trees.marked, trees.wait_until,
  trees.none_left

-- Somebody kills or stops orch, its nursery, or a keeper.
describe("the shim's death", function()
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
      local environment = trees.environment(mark)
      local orch =
        assert(proc.start { argv = { PROGRAM, "lua", dir .. "/script.lua", dir, ESCAPE .. last },
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
      for _, name in ipairs(fs.list(dir .. "/tree")) do
        assert(fs.remove(dir .. "/tree/" .. name))
      end
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
      local environment = trees.environment(mark)
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

  -- Runs an orch by a shell that goes on when it was killed; prepare(program's process id) comes
  -- before that.
  local function kill_orch(prepare)
    assert(fs.write(dir .. "/script.lua", [[
      local dir, script = ...
      local child = assert(require "orch.proc".start { argv = { "/bin/sh", "-c", script, "sh", dir .. "/tree" },
        grace = 30 })
      child:read()
      assert(require "orch.fs".write(dir .. "/ready", tostring(child:pid())))
      child:wait()]]))
    assert(fs.make_dir(dir .. "/tree"))
    assert(fs.write(dir .. "/mark", "export " .. mark))
    local environment = fs.environment()
    environment.PROGRAM, environment.DIR = PROGRAM, dir
    environment.SCRIPT = ESCAPE .. "sleep 1000"
    local shell = assert(proc.start { env = environment, argv = { "/bin/sh", "-c",
      [[(. $DIR/mark; exec "$PROGRAM" lua $DIR/script.lua $DIR "$SCRIPT") & echo $!; sleep 1000]] } })
    local pid = assert(shell:read()):match("%d+")
    assert.truthy(wait_until(function() return fs.stat(dir .. "/ready") end, 10))
    assert.is_true(#marked(mark) >= 5)
    prepare(math.tointeger(tonumber(assert(fs.read(dir .. "/ready")))))
    assert(proc.run { argv = { "kill", "-9", pid } })
    assert.is_true(none_left(mark, 2))
    shell:cancel()
    shell:wait()
  end

  it("ends the tree of an orch that no shim is above", function() kill_orch(function() end) end)

  it("ends the tree of a killed orch although somebody has stopped the keeper", function()
    kill_orch(function(program) proc.kill(parent_of(program), STOP) end)
  end)

  it("ends the whole tree when it is killed, which is told", function()
    local child = escape "sleep 1000"
    assert.equal("ready\n", child:read())
    local keeper = parent_of(child:pid())
    assert.is_true(proc.kill(keeper, 9))
    local result = assert(child:wait())
    assert.same({ -1, 9, true }, { result.code, result.signal, result.parent_killed })
    assert.is_true(none_left(mark, 2))
    result = assert(proc.run { argv = { "true" } })
    assert.same({ 0 }, { result.code, result.parent_killed })
  end)

  it("hinders no cancelling when it is only stopped, and the nursery too", function()
    for _, both in ipairs { false, true } do
      local child = escape("sleep 1000", { grace = 0.05, timeout = 30 })
      assert.equal("ready\n", child:read())
      local keeper = parent_of(child:pid())
      if both then proc.kill(parent_of(keeper), STOP) end
      assert.is_true(proc.kill(keeper, STOP))
      local asked = task.clock()
      child:cancel()
      assert.equal("cancelled", select(2, child:wait()).kind)
      assert.is_true(task.clock() - asked < 10)
      assert.same({}, marked(mark))
      assert.equal(0, assert(proc.run { argv = { "true" } }).code)
      for _, name in ipairs(fs.list(dir)) do assert(fs.remove(dir .. "/" .. name)) end
    end
  end)

  it("tells the status when a keeper that somebody stopped goes on", function()
    local child = assert(proc.start { timeout = 30,
      argv = { "/bin/sh", "-c", "echo $PPID; kill -STOP $PPID; exit 4" } })
    local keeper = math.tointeger(tonumber(child:read():match("%d+")))
    assert.truthy(wait_until(function()
      return assert(fs.read(("/proc/%d/stat"):format(keeper))):match("^.*%) (%S)") == "T"
    end, 5))
    proc.kill(keeper, CONT)
    assert.equal(4, assert(child:wait()).code)
  end)

  it("loses no program and no status when the nursery is killed", function()
    local slow = assert(proc.start { argv = { "/bin/sh", "-c", "sleep 0.3; exit 8" } })
    local nursery = parent_of(parent_of(slow:pid()))
    assert.equal(fs.real_path(SHIM), fs.real_path(("/proc/%d/exe"):format(nursery)))
    assert.is_true(proc.kill(nursery, 9))
    task.sleep(0.02)
    local many = {}
    for i = 1, 10 do
      many[i] = task.spawn(function()
        return assert(proc.run { argv = { "/bin/sh", "-c", "sleep 0.05; exit " .. i } }).code
      end)
    end
    for i = 1, 10 do assert.same({ true, i }, { many[i]:join() }) end
    assert.equal(8, assert(slow:wait()).code)
  end)
end)
