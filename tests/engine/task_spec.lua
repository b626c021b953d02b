local error_value = require "orch.error"
local orch = require "orch"
local task = require "orch.task"

local function reason(text) return error_value.new { kind = "cancelled", message = text or "no longer wanted" } end

local function never() task.sleep(1000) end

-- Other tasks get their turn.
local function turn() task.sleep(0) end

-- Seconds that f takes.
local function seconds_of(f, ...)
  local started = task.clock()
  f(...)
  return task.clock() - started
end

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
    assert.matches("task_spec%.lua:%d+: attempt to perform arithmetic on a nil value", failure.message)
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
      { waits.x, waits + 1, waits(), waits .. "", waits == setmetatable({}, getmetatable(waits)), #waits })
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

describe("cancelling a task", function()
  it("before it starts raises at its first wait", function()
    local began, went_on
    local running = task.spawn(function()
      began = true
      turn()
      went_on = true
    end)
    local why = reason()
    running:cancel(why)
    local good, failure = running:join()
    assert.is_false(good)
    assert.equal(why, failure)
    assert.is_true(began)
    assert.is_nil(went_on)
  end)

  it("in flight raises where it waits, soon", function()
    local running = task.spawn(never)
    turn()
    local why = reason()
    running:cancel(why)
    local took = seconds_of(function() assert.equal(why, select(2, running:join())) end)
    assert.is_true(took < 0.5)
    assert.matches("task_spec", why.traceback)
  end)

  it("that is ready to go on, or has ended, does no harm", function()
    local running = task.spawn(turn)
    turn()
    turn()
    running:cancel(reason())
    running:join()
    running:cancel(reason())
    assert.is_true(running:ended())
    local finished = task.spawn(function() return 7 end)
    turn()
    finished:cancel(reason())
    assert.same({ true, 7 }, { finished:join() })
  end)

  it("is not needed by one that waits no more", function()
    local running = task.spawn(function() return "result" end)
    running:cancel(reason())
    assert.same({ true, "result" }, { running:join() })
  end)

  it("needs a reason, and the first one stays", function()
    local running = task.spawn(never)
    assert.has_error(function() running:cancel() end)
    running:cancel(reason "first")
    running:cancel(reason "second")
    assert.equal("first", select(2, running:join()).message)
  end)

  it("cannot be swallowed by pcall", function()
    local waits, seen = 0, nil
    local running = task.spawn(function()
      for _ = 1, 5 do
        pcall(task.sleep, 1000)
        waits = waits + 1
      end
      seen = task.cancelled()
      pcall(task.spawn, turn)
      task.sleep(1000)
    end)
    turn()
    local why = reason()
    running:cancel(why)
    assert.equal(why, select(2, running:join()))
    assert.equal(5, waits)
    assert.equal(why, seen)
    assert.is_nil(task.cancelled())
  end)

  it("cannot be swallowed by a task that starts another", function()
    local started
    local running = task.spawn(function()
      pcall(never)
      task.spawn(function() started = true end)
    end)
    turn()
    running:cancel(reason())
    assert.is_false((running:join()))
    assert.is_nil(started)
  end)

  it("by itself counts at its next wait", function()
    local why, reached = reason(), nil
    local good, failure = task.spawn(function()
      task.current():cancel(why)
      reached = true
      turn()
    end):join()
    assert.is_false(good)
    assert.equal(why, failure)
    assert.is_true(reached)
  end)

  it("cancels what it started, and is over when all have ended", function()
    local ended = {}
    local function child(name, below)
      return task.spawn(function()
        if below then below() end
        pcall(never)
        orch.cleanup(function() task.sleep(0.01) end)
        ended[#ended + 1] = name
      end)
    end
    local running = task.spawn(function()
      child("a")
      child("b", function() child("c") end)
      never()
    end)
    turn()
    turn()
    running:cancel(reason())
    running:join()
    table.sort(ended)
    assert.same({ "a", "b", "c" }, ended)
  end)

  it("runs <close> blocks, which may wait inside orch.cleanup only", function()
    local order = {}
    local function closing(name, f)
      return setmetatable({}, { __close = function()
        order[#order + 1] = name .. (pcall(f) and " waited" or " could not wait")
      end })
    end
    local running = task.spawn(function()
      local _ <close> = closing("outer", function() orch.cleanup(turn) end)
      local _ <close> = closing("inner", turn)
      never()
    end)
    turn()
    running:cancel(reason())
    assert.is_false((running:join()))
    assert.same({ "inner could not wait", "outer waited" }, order)
  end)
end)

describe("the end of a task", function()
  it("cancels and awaits what it did not join", function()
    local why, ended
    local good, result = task.spawn(function()
      task.spawn(function()
        local _, failure = pcall(never)
        why = failure
        orch.cleanup(function() task.sleep(0.01) end)
        ended = true
      end)
      turn()
      return "result"
    end):join()
    assert.same({ true, "result", true }, { good, result, ended })
    assert.same({ "cancelled", "the task that started this one has ended" }, { why.kind, why.message })
  end)

  it("by an error cancels what it did not join", function()
    local ended
    local good, failure = task.spawn(function()
      task.spawn(function()
        pcall(never)
        ended = true
      end)
      turn()
      orch.fail("no good")
    end):join()
    assert.same({ false, "no good", true }, { good, failure.message, ended })
  end)
end)

describe("orch.cleanup", function()
  it("passes results and errors on", function()
    assert.same({ n = 3, 1, nil, 3 }, table.pack(orch.cleanup(function() return 1, nil, 3 end)))
    local good, failure = pcall(orch.cleanup, function() orch.fail("dirty") end)
    assert.same({ false, "dirty" }, { good, failure.message })
  end)

  it("holds a cancellation back, and only meanwhile", function()
    local steps = {}
    local running = task.spawn(function()
      orch.cleanup(function()
        task.sleep(0.02)
        steps[#steps + 1] = "in the scope"
        orch.cleanup(function() task.sleep(0.005) end)
        steps[#steps + 1] = "after an inner one"
        turn()
      end)
      steps[#steps + 1] = "after the scope"
      turn()
      steps[#steps + 1] = "waited"
    end)
    turn()
    running:cancel(reason())
    assert.is_false((running:join()))
    assert.same({ "in the scope", "after an inner one", "after the scope" }, steps)
  end)

  it("has a deadline", function()
    local running = task.spawn(function() orch.cleanup(never, 0.02) end)
    local good, failure = running:join(2)
    assert.is_false(good)
    assert.same({ "timeout", "cleaning up took too long" }, { failure.kind, failure.message })
  end)

  it("has a deadline also for what was started in it", function()
    local inner
    local running = task.spawn(function()
      orch.cleanup(function()
        inner = task.spawn(never)
        inner:join()
      end, 0.02)
    end)
    assert.is_false((running:join(2)))
    assert.equal("timeout", select(2, inner:join()).kind)
  end)

  it("raises the cancellation after a deadline", function()
    local after
    local running = task.spawn(function()
      pcall(orch.cleanup, never, 0.02)
      after = select(2, pcall(turn))
    end)
    turn()
    running:cancel(reason "from above")
    running:join()
    assert.equal("from above", after.message)
  end)

  it("leaves no task behind that was started in it and not joined", function()
    local took = seconds_of(function()
      task.spawn(function()
        orch.cleanup(function()
          task.spawn(never)
          turn()
        end)
      end):join(2)
    end)
    assert.is_true(took < 1)
  end)

  it("passes a cancellation that it held back on to tasks that outlive it", function()
    local why
    local running = task.spawn(function()
      local inner
      orch.cleanup(function()
        inner = task.spawn(never)
        task.sleep(0.02)
      end)
      why = select(2, pcall(inner.join, inner))
      pcall(inner.join, inner)
    end)
    turn()
    running:cancel(reason "from above")
    assert.is_true((running:join(2)))
    assert.equal("from above", why.message)
  end)

  it("lets orch.timeout and orch.all cancel inside it", function()
    local late, first
    local took = seconds_of(function()
      task.spawn(function()
        orch.cleanup(function()
          late = select(2, pcall(orch.timeout, 0.01, never))
          first = select(2, pcall(orch.all, { bad = function() orch.fail("bad") end, other = never }))
        end)
      end):join(2)
    end)
    assert.is_true(took < 1)
    assert.equal("timeout", late.kind)
    assert.equal("bad", first.message)
  end)

  it("shields its branches from a cancellation", function()
    local done
    local running = task.spawn(function()
      orch.cleanup(function()
        done = orch.all { a = function() task.sleep(0.02) return "A" end, b = turn }
      end)
    end)
    turn()
    turn()
    running:cancel(reason())
    running:join(2)
    assert.same({ a = "A" }, done)
  end)

  it("refuses what is no time", function()
    for _, bad in ipairs { -1, 0 / 0, math.huge, "x" } do
      local called
      assert.has_error(function() orch.cleanup(function() called = true end, bad) end)
      assert.is_nil(called)
    end
    assert.has_error(function() task.unshield() end)
  end)
end)

describe("orch.all", function()
  it("gives the first result of each by name", function()
    assert.same({ a = 1, c = "x" }, orch.all {
      a = function() task.sleep(0.01) return 1, 2 end,
      b = function() end,
      c = function() return "x" end,
    })
    assert.same({}, orch.all {})
  end)

  it("runs them side by side, started in the order of their names", function()
    local order = {}
    local function branch(name) return function()
      order[#order + 1] = name
      task.sleep(0.03)
    end end
    local took = seconds_of(orch.all, { c = branch "c", a = branch "a", b = branch "b" })
    assert.same({ "a", "b", "c" }, order)
    assert.is_true(took < 0.08)
  end)

  it("fails with the first error once the others have ended", function()
    local others = {}
    local function other(name) return function()
      local _, why = pcall(never)
      orch.cleanup(function() task.sleep(0.01) end)
      others[name] = why.message
      error(why, 0)
    end end
    local thrown = error_value.new { kind = "net", message = "no route" }
    local good, failure = pcall(orch.all, {
      a = other "a",
      bad = function() turn() error(thrown, 0) end,
      z = other "z",
    })
    assert.is_false(good)
    assert.equal(thrown, failure)
    local because <const> = "cancelled, because branch 'bad' failed"
    assert.same({ a = because, z = because }, others)
  end)

  it("tells where in a branch an error of Lua was", function()
    local function broken() return nil .. "x" end
    local good, failure = pcall(orch.all, { a = function() broken() end })
    assert.is_false(good)
    assert.equal("usage", failure.kind)
    assert.matches("task_spec%.lua:%d+: attempt to concatenate a nil value", failure.message)
    assert.matches("broken", failure.traceback)
  end)

  it("refuses bad arguments at the caller's line", function()
    for _, bad in ipairs { { turn }, { a = 1 }, { a = turn, b = "x" }, 1, "x" } do
      local good, failure = pcall(function() orch.all(bad) end)
      assert.is_false(good)
      assert.matches("task_spec%.lua:%d+: orch%.all: expected { name = function, … }", tostring(failure))
    end
    assert.has_error(function() orch.all() end)
  end)

  it("ends its branches when the caller is cancelled", function()
    local ended = {}
    local running = task.spawn(function()
      orch.all {
        a = function() orch.all { aa = function()
          pcall(never)
          ended.aa = true
        end } end,
        b = function()
          pcall(never)
          ended.b = true
        end,
      }
    end)
    for _ = 1, 4 do turn() end
    local why = reason "from above"
    running:cancel(why)
    assert.equal(why, select(2, running:join(2)))
    assert.same({ aa = true, b = true }, ended)
  end)
end)

describe("orch.timeout", function()
  it("passes results and errors of what is in time", function()
    assert.same({ n = 3, 1, nil, 3 }, table.pack(orch.timeout(5, function() return 1, nil, 3 end)))
    local good, failure = pcall(orch.timeout, 5, function() orch.fail("wrong") end)
    assert.same({ false, "wrong" }, { good, failure.message })
  end)

  it("cancels what is late, and raises once that has ended", function()
    local ended
    local good, failure = pcall(orch.timeout, 0.01, function()
      pcall(never)
      orch.cleanup(function() task.sleep(0.01) end)
      ended = true
    end)
    assert.is_false(good)
    assert.same({ "timeout", "took longer than 0.01 s" }, { failure.kind, failure.message })
    assert.is_true(ended)
  end)

  it("nests: the shorter one counts", function()
    local good, failure = pcall(orch.timeout, 0.01, function() orch.timeout(5, never) end)
    assert.same({ false, "took longer than 0.01 s" }, { good, failure.message })
    good, failure = pcall(orch.timeout, 5, function() orch.timeout(0.01, never) end)
    assert.same({ false, "took longer than 0.01 s" }, { good, failure.message })
  end)

  it("ends all branches of an orch.all within it", function()
    local ended = 0
    local function branch()
      pcall(never)
      ended = ended + 1
      turn()
    end
    local good, failure = pcall(orch.timeout, 0.02, function() orch.all { a = branch, b = branch } end)
    assert.same({ false, "timeout", 2 }, { good, failure.kind, ended })
  end)

  it("passes a cancellation of the caller on", function()
    local running = task.spawn(function() orch.timeout(5, never) end)
    turn()
    turn()
    local why = reason()
    running:cancel(why)
    assert.equal(why, select(2, running:join(2)))
  end)

  it("refuses what is no time or no function", function()
    for _, bad in ipairs { -1, 0 / 0, math.huge, "soon" } do
      local called
      assert.has_error(function() orch.timeout(bad, function() called = true end) end)
      assert.is_nil(called)
    end
    assert.has_error(function() orch.timeout() end)
    assert.has_error(function() orch.timeout(1) end)
  end)
end)
