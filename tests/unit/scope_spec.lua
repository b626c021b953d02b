local orch = require "orch"
local scope = require "orch.scope"
local task = require "orch.task"

describe("scope", function()
  local job
  before_each(function() job = scope.new("job", "build") end)

  it("counts calls of the same name, each in its own scope", function()
    local group = job:child("group", "group")
    assert.equal("build/group#1", group.id)
    assert.equal("build/run#1", job:child("step", "run").id)
    assert.equal("build/run#2", job:child("step", "run").id)
    assert.equal("build/write#1", job:child("step", "write").id)
    assert.equal("build/group#1/run#1", group:child("step", "run").id)
    assert.equal("build/group#2", job:child("group", "group").id)
  end)

  it("tells depth and parents", function()
    local group = job:child("group", "group")
    local step = group:child("step", "run")
    assert.same({ 0, 1, 2 }, { job.depth, group.depth, step.depth })
    assert.equal(group, step.parent)
    assert.is_nil(job.parent)
  end)

  it("names branches without counting", function()
    local a = job:branch "a"
    assert.equal("build/a", a.id)
    assert.equal("build/a/run#1", a:child("step", "run").id)
  end)

  it("gives no two steps one id when orch.all is called again with the same names", function()
    local ids = {}
    scope.within(job, function()
      for _ = 1, 3 do
        orch.all {
          a = function() ids[#ids + 1] = scope.current():child("step", "run").id end,
          b = function() ids[#ids + 1] = scope.current():child("step", "run").id end,
        }
      end
    end)
    table.sort(ids)
    assert.same({ "build/a/run#1", "build/a/run#2", "build/a/run#3", "build/b/run#1",
      "build/b/run#2",
      "build/b/run#3" }, ids)
  end)

  it("knows what shows in reports, and what is recorded together", function()
    local inner = job:branch("a"):branch("b")
    assert.equal(job, inner:shown())
    local group = inner:child("group", "group")
    assert.equal(group, group:branch("c"):shown())
    assert.equal(inner, group:child("step", "run"):area())
    assert.equal(job, job:child("group", "group"):area())
    assert.equal(job, job:area())
  end)

  it("belongs to a task, and is back whatever happens", function()
    assert.is_nil(scope.current())
    local step = job:child("step", "run")
    assert.same({ true, 1, nil, 3 }, { scope.within(job, function(...)
      assert.equal(job, scope.current())
      scope.within(step, function() assert.equal(step, scope.current()) end)
      local good, failure = scope.within(step, function() orch.fail("no") end)
      assert.same({ false, "no" }, { good, failure.message })
      assert.equal(job, scope.current())
      task.spawn(function() assert(scope.current() == nil) end):join()
      return ...
    end, 1, nil, 3) })
    assert.is_nil(scope.current())
  end)

  it("is handed to branches and to what has limited time", function()
    scope.within(job, function()
      orch.timeout(5, function() assert.equal(job, scope.current()) end)
      orch.all { x = function()
        assert.equal("build/x", scope.current().id)
        orch.all { y = function() assert.equal("build/x/y", scope.current().id) end }
      end }
      assert.equal(job, scope.current())
    end)
  end)

  it("tells where inside it an error of Lua was", function()
    local function broken() return nil .. "x" end
    local good, failure = scope.within(job, function() broken() end)
    assert.is_false(good)
    assert.equal("usage", failure.kind)
    assert.matches("broken", failure.traceback)
  end)
end)
