local graph = require "orch.graph"

local function states_of(given)
  local states = {}
  for _, state in ipairs(given) do states[state] = true end
  return states
end

-- job("b", { a = { "failed" } }) or job("b", { "a" })
local function job(name, needs)
  local resolved = {}
  for key, value in pairs(needs or {}) do
    if type(key)
      == "string" then resolved[#resolved + 1] = { name = key, states = states_of(value) }
    else resolved[#resolved + 1] = { name = value, states = { success = true } } end
  end
  return { name = name, resolved_needs = resolved }
end

describe("graph", function()
  local self, dropped
  before_each(function()
    dropped = {}
    self = graph.new(function(name, state) dropped[#dropped + 1] = name .. " " .. state end)
  end)

  local function take_all()
    local names = {}
    for node in function() return self:take() end do names[#names + 1] = node.name end
    return names
  end

  it("lets a job begin when all it needs has ended well", function()
    self:add { job "a", job "b", job("c", { "a", "b" }) }
    assert.same({ "a", "b" }, take_all())
    self:finish("a", "success")
    assert.same({}, take_all())
    self:finish("b", "success")
    assert.same({ "c" }, take_all())
    self:finish("c", "success")
    assert.equal(0, self.unfinished)
    assert.same({}, dropped)
  end)

  it("does not run what a failure makes impossible, and so on down", function()
    self:add { job "a", job("b", { "a" }), job("c", { "b" }), job("d", { c = { "not_run" } }) }
    take_all()
    self:finish("a", "failed")
    assert.same({ "b not_run", "c not_run" }, dropped)
    assert.same({ "d" }, take_all())
  end)

  it("runs what asks for the state in which a job ended", function()
    self:add { job "a", job("on_fail", { a = { "failed" } }),
      job("on_cancel", { a = { "cancelled" } }),
      job("ever", { a = { "success", "failed", "cancelled", "not_run" } }) }
    take_all()
    self:finish("a", "failed")
    assert.same({ "on_fail", "ever" }, take_all())
    assert.same({ "on_cancel not_run" }, dropped)
  end)

  it("counts a need that is named twice", function()
    self:add { job "a", job("b", { "a", "a" }) }
    take_all()
    self:finish("a", "success")
    assert.same({ "b" }, take_all())
  end)

  it("takes a need outside of it as done", function()
    self:add { job("b", { "elsewhere" }) }
    assert.same({ "b" }, take_all())
  end)

  it("stops: what has not begun is not run, but for what asks for a failure", function()
    self:add { job "a", job "b", job("c", { "b" }), job("tidy", { c = { "success", "not_run" } }) }
    self:take()
    self:stop()
    self:stop()
    assert.same({ "b not_run", "c not_run" }, dropped)
    assert.same({ "tidy" }, take_all())
    self:finish("a", "failed")
    self:finish("tidy", "success")
    assert.equal(0, self.unfinished)
  end)

  it("does not run, after stop, what was put back or is added", function()
    self:add { job "a", job "blocked", job "wanted" }
    local _, blocked = self:take(), self:take()
    self:stop()
    self:put_back(blocked)
    self:add { job "late", job("after", { "late" }), job("on_fail", { a = { "failed" } }) }
    assert.same({}, take_all())
    assert.same({ "wanted not_run", "blocked not_run", "late not_run", "after not_run" }, dropped)
    self:finish("a", "failed")
    assert.same({ "on_fail" }, take_all())
  end)

  it("grows: needs that have ended count, and others are waited for", function()
    self:add { job "a", job "b" }
    take_all()
    self:finish("a", "success")
    self:add { job("after_a", { "a" }), job("after_b", { "b" }),
      job("after_both", { "a", "after_b" }),
      job("never", { a = { "failed" } }) }
    assert.same({ "after_a" }, take_all())
    assert.same({ "never not_run" }, dropped)
    self:finish("b", "success")
    assert.same({ "after_b" }, take_all())
    self:finish("after_b", "success")
    assert.same({ "after_both" }, take_all())
  end)

  it("puts back before all others", function()
    self:add { job "a", job "b", job "c" }
    self:take()
    self:put_back(self:take())
    assert.same({ "b", "c" }, take_all())
  end)

  it("drops a chain of two hundred thousand without a deep stack", function()
    local jobs = { job "j0" }
    for i = 1, 200000 do jobs[#jobs + 1] = job("j" .. i, { "j" .. (i - 1) }) end
    self:add(jobs)
    take_all()
    self:finish("j0", "failed")
    assert.equal(200000, #dropped)
    assert.equal(0, self.unfinished)
  end)

  -- Instructions of the virtual machine, which no other load on the machine changes.
  local function cost_of(shape, count)
    local made, thousands = graph.new(), 0
    local jobs = shape(count)
    debug.sethook(function() thousands = thousands + 1 end, "", 1000)
    made:add(jobs)
    for node in function() return made:take() end do made:finish(node.name, "success") end
    debug.sethook()
    assert.equal(0, made.unfinished)
    return thousands / count
  end

  it("costs the same for each job, however many there are", function()
    for name, shape in pairs {
      chain = function(count)
        local jobs = { job "j0" }
        for i = 1, count do jobs[#jobs + 1] = job("j" .. i, { "j" .. (i - 1) }) end
        return jobs
      end,
      fan = function(count)
        local jobs, all = { job "root" }, {}
        for i = 1, count do
          jobs[#jobs + 1] = job("j" .. i, { "root" })
          all[i] = "j" .. i
        end
        jobs[#jobs + 1] = job("last", all)
        return jobs
      end,
    } do
      local small, large = cost_of(shape, 2000), cost_of(shape, 16000)
      assert.is_true(large < small * 1.5, ("%s: %g, then %g"):format(name, small, large))
    end
  end)
end)
