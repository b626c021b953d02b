local task = require "orch.task"
local waiting = require "engine.waiting"

local reason <const>, turn <const> = waiting.reason, waiting.turn

describe("the coroutine of a task", function()
  local function refused(sentence, f, ...)
    local good, failure = pcall(f, ...)
    assert.is_false(good)
    assert.matches(sentence, tostring(failure), 1, true)
  end

  it("yields to nobody, which is said where it is tried", function()
    local _, _, failure = task.spawn(function() return pcall(coroutine.yield, 1) end):join()
    assert.matches("coroutine.yield", tostring(failure), 1, true)
    local _, line = pcall(function() coroutine.yield() end)
    assert.matches("^tests/engine/coroutine_spec%.lua:%d+: coroutine%.yield", tostring(line))
  end)

  it("is resumed and closed by the engine only, also when it has ended", function()
    local its
    local running = task.spawn(function()
      its = coroutine.running()
      turn()
      return print, 1
    end)
    turn()
    for _ = 1, 2 do
      refused("coroutine.resume", coroutine.resume, its)
      refused("coroutine.close", coroutine.close, its)
      assert.same({ true, print, 1 }, { running:join() })
    end
    running = nil
    collectgarbage()
    refused("coroutine.resume", coroutine.resume, its)
  end)
end)

describe("a coroutine of one's own", function()
  it("is what Lua says", function()
    local function counts(first, ...)
      local sum = first
      while sum < 10 do sum = sum + coroutine.yield(sum, ...) end
      return "over"
    end
    local made = coroutine.create(counts)
    assert.same({ true, 1, 2 }, { coroutine.resume(made, 1, 2) })
    assert.same({ true, 4, 2 }, { coroutine.resume(made, 3) })
    assert.same({ true }, { coroutine.close(made) })
    assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(made) })

    local wrapped = coroutine.wrap(counts)
    assert.same({ 1, 2 }, { wrapped(1, 2) })
    assert.equal("over", wrapped(9))
    local _, failure = pcall(function() wrapped() end)
    assert.matches("^tests/engine/coroutine_spec%.lua:%d+: cannot resume dead coroutine$", failure)

    for _, f in ipairs { coroutine.resume, coroutine.close, coroutine.wrap } do
      assert.has_error(function() f(1) end)
      assert.has_error(function() f() end)
    end
    assert.has_error(function() coroutine.wrap(coroutine.wrap)() end)
  end)

  it("closes its variables when it fails, and fails with what Lua says", function()
    local closed = {}
    local function fails(name, why)
      return coroutine.wrap(function()
        local _ <close> = setmetatable({}, { __close = function() closed[#closed + 1] = name end })
        error(why, 0)
      end)
    end
    local value = {}
    assert.equal(value, select(2, pcall(fails("a", value))))
    local _, text = pcall(function() fails("b", "text")() end)
    assert.matches("^tests/engine/coroutine_spec%.lua:%d+: text$", text)
    local _, last = pcall(coroutine.wrap(function()
      local _ <close> = setmetatable({}, { __close = function() error("closing", 0) end })
      error "first"
    end))
    assert.matches("closing", last)
    assert.same({ "a", "b" }, closed)
  end)

  it("may resume another, and end in an error, and waits no more than before", function()
    local function nested(depth)
      if depth == 0 then return pcall(turn) end
      return coroutine.wrap(nested)(depth - 1)
    end
    local good, failure = nested(20)
    assert.is_false(good)
    assert.matches("inside a coroutine of your own", tostring(failure), 1, true)
    pcall(coroutine.wrap(error), "x")
    turn()
    local running = task.spawn(function() return pcall(turn) end)
    turn()
    running:cancel(reason)
    assert.same({ true, false, reason }, { running:join() })
  end)
end)
