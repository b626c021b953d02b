local error_value = require "orch.error"
local orch = require "orch"
local task = require "orch.task"
local waiting = require "engine.waiting"

local reason <const>, never <const> = waiting.reason, waiting.never
local turn <const>, seconds_of <const> = waiting.turn, waiting.seconds_of

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

  it("lets the others go on while one waits for an answer, until one fails", function()
    local hold = error_value.new { kind = "missing", message = "it asks", hold = true }
    local went_on
    local good, failure = pcall(orch.all, {
      asks = function() error(hold, 0) end,
      other = function() task.sleep(0.01) went_on = true end,
    })
    assert.is_false(good)
    assert.equal(hold, failure)
    assert.is_true(went_on)

    local thrown = error_value.new { kind = "net", message = "no route" }
    good, failure = pcall(orch.all, {
      asks = function() error(hold, 0) end,
      bad = function() turn() error(thrown, 0) end,
      other = function() never() end,
    })
    assert.is_false(good)
    assert.equal(thrown, failure)
  end)

  it("tells where in a branch an error of Lua was", function()
    local function broken() return nil .. "x" end
    local good, failure = pcall(orch.all, { a = function() broken() end })
    assert.is_false(good)
    assert.equal("usage", failure.kind)
    assert.matches("branches_spec%.lua:%d+: attempt to concatenate a nil value", failure.message)
    assert.matches("broken", failure.traceback)
  end)

  it("refuses bad arguments at the caller's line", function()
    for _, bad in ipairs { { turn }, { a = 1 }, { a = turn, b = "x" }, 1, "x" } do
      local good, failure = xpcall(function() orch.all(bad) end, error_value.on_error)
      assert.is_false(good)
      assert.matches("branches_spec%.lua:%d+$", failure.where)
      assert.matches("^orch%.all: expected { name = function, … }: ", tostring(failure))
      assert.matches("a = function%(%)", failure.hint)
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
    local good, failure = pcall(orch.timeout, 0.02, function()
      orch.all { a = branch, b = branch }
    end)
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
