local error_value = require "orch.error"
local orch = require "orch"
local task = require "orch.task"
local waiting = require "engine.waiting"

local reason <const>, never <const> = waiting.reason, waiting.never
local turn <const>, seconds_of <const> = waiting.turn, waiting.seconds_of

describe("task", function()
  it("gives all results of a function to who joins", function()
    local running = task.spawn(function(...) return select("#", ...), ... end, 1, nil, "x", nil)
    assert.same({ n = 6, true, 4, 1, nil, "x", nil }, table.pack(running:join()))
    assert.is_true(running:ended())
  end)

  it("starts a task later, not inside spawn", function()
    local order = {}
    local running = task.spawn(function() order[#order + 1] = "task" end)
    order[#order + 1] = "spawner"
    running:join()
    assert.same({ "spawner", "task" }, order)
  end)

  it("gives the error of a function to who joins", function()
    local thrown = error_value.new { kind = "missing", message = "not here", op = "look", code = 2 }
    local good, failure = task.spawn(function() error(thrown, 0) end):join()
    assert.is_false(good)
    assert.equal(thrown, failure)
    assert.same({ "missing", "look", 2 }, { failure.kind, failure.op, failure.code })
  end)

  it("makes an error of Lua one of kind usage, with file:line and traceback", function()
    local function wrong() return nil + 1 end
    local _, failure = task.spawn(function() wrong() end):join()
    assert.equal("usage", failure.kind)
    assert.matches("task_spec%.lua:%d+: attempt to perform arithmetic on a nil value",
      failure.message)
    assert.matches("task_spec%.lua:%d+: in.*wrong", failure.traceback)
    assert.equal(failure.message, tostring(failure))
    for _, value in ipairs { "words", 12, { 1 } } do
      local _, other = task.spawn(function() error(value, 0) end):join()
      assert.equal("usage", other.kind)
      assert.equal("string", type(other.message))
    end
  end)

  it("keeps the first traceback of an error that is thrown again", function()
    local function deep() error(error_value.new { kind = "io", message = "broken" }, 0) end
    local _, first = task.spawn(function() deep() end):join()
    local before = first.traceback
    assert.matches("deep", before)
    local _, second = task.spawn(function() error(first, 0) end):join()
    assert.equal(first, second)
    assert.equal(before, second.traceback)
  end)

  it("can be joined again and from several places, one after the other", function()
    local running = task.spawn(function() return "x" end)
    assert.same({ true, "x" }, { running:join() })
    assert.same({ true, "x" }, { running:join() })
    assert.same({ true, true, "x" }, { task.spawn(function() return running:join() end):join() })
  end)

  it("refuses two that wait for one task at the same time", function()
    local running = task.spawn(turn)
    local first = task.spawn(function() return running:join() end)
    local second = task.spawn(function() return running:join() end)
    assert.is_true((first:join()))
    local good, failure = second:join()
    assert.is_false(good)
    assert.matches("another task waits for this one already", failure.message)
  end)

  it("refuses to wait for itself or for a task it is part of", function()
    local good, failure = task.spawn(function() task.current():join() end):join()
    assert.is_false(good)
    assert.matches("would wait for itself", failure.message)
    local outer
    outer = task.spawn(function() return task.spawn(function() outer:join() end):join() end)
    local joined, inner_good, inner_failure = outer:join()
    assert.same({ true, false }, { joined, inner_good })
    assert.matches("would wait for itself", inner_failure.message)
  end)

  it("joins for a limited time", function()
    local running = task.spawn(function()
      task.sleep(0.03)
      return "done"
    end)
    assert.is_nil((running:join(0)))
    assert.is_nil((running:join(0.005)))
    assert.is_false(running:ended())
    assert.same({ true, "done" }, { running:join(5) })
  end)

  it("sleeps at least as long as asked, and refuses what is no time", function()
    assert.is_true(seconds_of(task.sleep, 0.02) >= 0.019)
    assert.is_true(seconds_of(task.sleep, 0) < 0.5)
    for _, bad in ipairs { -1, 0 / 0, math.huge, "soon" } do
      assert.has_error(function() task.sleep(bad) end)
    end
  end)

  it("tells the current task, both clocks and a version", function()
    local inside
    local running = task.spawn(function() inside = task.current() end)
    running:join()
    assert.equal(running, inside)
    assert.not_equal(running, task.current())
    assert.is_true(math.abs(task.time() - os.time()) < 2)
    local before = task.clock()
    turn()
    assert.is_true(task.clock() >= before)
    assert.matches("^%d+%.%d+%.%d+$", task.version)
  end)

  it("refuses to start what is no function", function()
    assert.has_error(function() task.spawn(1) end)
    assert.has_error(function() task.spawn() end)
  end)

  it("passes 100,000 arguments and results, and refuses more than Lua's stack holds", function()
    local counting = task.spawn(select, "#", table.unpack({}, 1, 100000))
    assert.same({ true, 100000 }, { counting:join() })
    assert.equal(100001, select("#", task.spawn(table.unpack, {}, 1, 100000):join()))
    assert.error_matches(function() task.spawn(table.unpack, {}, 1, 600000):join() end,
      "too many results")
  end)

  it("finishes 10,000 sleeping tasks", function()
    local before, ended = task.live().tasks, 0
    local group = task.spawn(function()
      for i = 1, 10000 do
        task.spawn(function()
          task.sleep((i % 10) / 1000)
          ended = ended + 1
        end)
      end
      task.sleep(0)
      assert(task.live().tasks == before + 10001)
      while ended < 10000 do task.sleep(0.002) end
    end)
    assert(select(2, group:join()) == nil)
    assert.equal(10000, ended)
    assert.equal(before, task.live().tasks)
  end)

  it("sees what happens outside while tasks only wake each other", function()
    local slept, rounds = false, 0
    task.spawn(function()
      task.sleep(0.001)
      slept = true
    end)
    while not slept and rounds < 1000000 do
      task.spawn(function() end):join()
      rounds = rounds + 1
    end
    assert.is_true(slept)
  end)

  it("passes an error through many tasks that start each other", function()
    local function nest(depth)
      if depth == 0 then orch.fail("at the bottom") end
      local good, failure = task.spawn(nest, depth - 1):join()
      if not good then error(failure, 0) end
    end
    local good, failure = pcall(nest, 150)
    assert.is_false(good)
    assert.same({ "failed", "at the bottom" }, { failure.kind, failure.message })
  end)
end)

describe("task.park", function()
  it("waits for unpark, which counts also when it comes first", function()
    local order = {}
    local running = task.spawn(function()
      task.park()
      order[#order + 1] = "first"
      task.park()
      order[#order + 1] = "second"
    end)
    running:unpark()
    turn()
    turn()
    assert.same({ "first" }, order)
    running:unpark()
    running:unpark()
    assert.is_true((running:join()))
    assert.same({ "first", "second" }, order)
    running:unpark()
  end)

  it("is ended by a cancellation, also after unpark", function()
    for _, first in ipairs { "unpark", "cancel" } do
      local parked = task.spawn(function()
        pcall(task.park)
        orch.cleanup(function() task.sleep(0.02) end)
      end)
      turn()
      if first == "unpark" then parked:unpark() end
      parked:cancel(reason())
      turn()
      parked:unpark()
      turn()
      parked:unpark()
      assert.is_true((parked:join(2)))
    end
  end)
end)

describe("task:spawn", function()
  it("starts below that task, which is over only with it", function()
    local ended
    local parent = task.spawn(function() task.sleep(0.02) end)
    turn()
    local child = parent:spawn(function(...)
      pcall(never)
      ended = true
      return ...
    end, 1, 2)
    assert.is_true((parent:join(2)))
    assert.is_true(ended)
    assert.same({ true, 1, 2 }, { child:join() })
    assert.has_error(function() parent:spawn(turn) end)
    assert.has_error(function() task.current():spawn(1) end)
  end)

  it("tells how many processors there are", function() assert.is_true(task.cores() >= 1) end)
end)

describe("a call that waits", function()
  local OWN <const> = "inside a coroutine of your own"
  local CALLED <const> = "inside require, table.sort, string.gsub or a metamethod called from C"

  local function refused(sentence, f, ...)
    local good, failure = pcall(f, ...)
    assert.is_false(good)
    assert.matches(sentence, tostring(failure), 1, true)
  end

  it("is refused in a coroutine of the recipe's own", function()
    refused(OWN, coroutine.wrap(turn))
    local running = task.spawn(turn)
    refused(OWN, coroutine.wrap(function() running:join() end))
    running:join()
  end)

  it("is refused where C called Lua", function()
    refused(CALLED, table.sort, { 2, 1 }, turn)
    refused(CALLED, string.gsub, "x", "x", turn)
    refused(CALLED, string.format, "%s", setmetatable({}, { __tostring = turn }))
    package.preload.waits_when_loaded = turn
    refused(CALLED, require, "waits_when_loaded")
    package.preload.waits_when_loaded = nil
  end)

  it("works in every call that Lua itself makes", function()
    local waits = setmetatable({}, {
      __index = function() turn() return 1 end, __add = function() turn() return 2 end,
      __call = function() turn() return 3 end, __concat = function() turn() return "4" end,
      __eq = function() turn() return true end, __len = function() turn() return 6 end,
      __pairs = function() turn() return next, {} end })
    assert.same({ 1, 2, 3, "4", true, 6 },
      { waits.x, waits + 1, waits(), waits .. "", waits == setmetatable({}, getmetatable(waits)),
        #waits })
    for _ in pairs(waits) do error "empty" end
    assert.same({ true, "caught" }, { select(1, pcall(turn)), select(2, xpcall(function()
      turn()
      error("x", 0)
    end, function() return "caught" end)) })
    for _ in function() turn() end do error "empty" end
    local closed
    do
      local _ <close> = setmetatable({}, { __close = function()
        turn()
        closed = true
      end })
    end
    assert.is_true(closed)
  end)
end)
