local orch = require "orch"
local task = require "orch.task"
local waiting = require "engine.waiting"

local reason <const>, never <const> = waiting.reason, waiting.never
local turn <const>, seconds_of <const> = waiting.turn, waiting.seconds_of

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
          first = select(2,
            pcall(orch.all, { bad = function() orch.fail("bad") end, other = never }))
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

  it("refuses what is no time or no function at the caller's line", function()
    local called
    local function call() called = true end
    for _, bad in ipairs { { call, -1 }, { call, 0 / 0 }, { call, math.huge }, { call, "x" }, {},
      { 5, call }, { call, call } } do
      local good, failure = pcall(function() orch.cleanup(bad[1], bad[2]) end)
      assert.is_false(good)
      assert.matches("cleanup_spec%.lua:%d+: orch%.cleanup: expected", tostring(failure))
      assert.is_nil(called)
    end
    assert.has_error(function() task.unshield() end)
  end)
end)
