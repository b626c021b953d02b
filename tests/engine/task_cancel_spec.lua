local orch = require "orch"
local task = require "orch.task"
local waiting = require "engine.waiting"

local reason <const>, never <const> = waiting.reason, waiting.never
local turn <const>, seconds_of <const> = waiting.turn, waiting.seconds_of

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
    assert.matches("engine.waiting.never", why.traceback, 1, true)
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

  it("reaches tasks that were started by each other, however deep", function()
    local ended, deepest = 0, false
    local function nest(depth)
      if depth == 0 then
        deepest = true
        return never()
      end
      local _ <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
      local below = task.spawn(nest, depth - 1)
      local good, failure = below:join()
      if not good then error(failure, 0) end
    end
    local running, why = task.spawn(nest, 2000), reason()
    repeat task.sleep(0.01) until deepest
    running:cancel(why)
    assert.equal(why, select(2, running:join()))
    assert.equal(2000, ended)
  end)

  it("reaches what is sheltered however deep, once the time of the scope is over", function()
    local function nest(depth)
      if depth == 0 then return never() end
      task.spawn(nest, depth - 1):join()
      never()
    end
    local failure = select(2, task.spawn(function()
      orch.cleanup(function() task.spawn(nest, 500):join() never() end, 0.05)
    end):join())
    assert.equal("timeout", failure.kind)
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
    assert.same({ "cancelled", "the task that started this one has ended" },
      { why.kind, why.message })
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
