-- Who may start, and who waits, for slots of resources.
local slots = require "orch.slots"

local function node(name, resources, serial)
  return { name = name, definition = { resources = resources or {}, serial = serial } }
end

local function names(nodes)
  local list = {}
  for i, each in ipairs(nodes) do list[i] = each.name end
  return list
end

describe("slots", function()
  local self
  before_each(function()
    self = slots.new(function(name) return ({ db = 2, cpu = 4 })[name] or 1 end)
  end)

  it("are taken as long as there are some, then waited for in order", function()
    local a, b, c, d = node("a", { db = 1 }), node("b", { db = 1 }), node("c", { db = 1 }),
      node("d", { db = 1 })
    assert.is_true(self:take(a))
    assert.is_true(self:take(b))
    assert.is_false(self:take(c))
    assert.is_false(self:take(d))
    assert.same({ "c" }, names(self:give(a)))
    assert.is_true(self:take(c))
    assert.same({}, self:give(a))
    assert.same({ "d" }, names(self:give(c)))
  end)

  it("go to who came first, also when who came later needs fewer", function()
    local a, big, small = node("a", { db = 1 }), node("big", { db = 2 }), node("small", { db = 1 })
    self:take(a)
    assert.is_false(self:take(big))
    assert.is_false(self:take(small))
    assert.same({ "big" }, names(self:give(a)))
    assert.same({ "small" }, names(self:give(big)))
  end)

  it("are taken all at once or not at all", function()
    local a, both, other = node("a", { db = 2 }), node("both", { db = 1, cpu = 4 }),
      node("other", { cpu = 4 })
    self:take(a)
    assert.is_false(self:take(both))
    assert.is_true(self:take(other))
    assert.same({}, self:give(a)) -- it waits for the other resource now
    assert.same({ "both" }, names(self:give(other)))
  end)

  it("let a serial group run one at a time", function()
    local a, b, c = node("a", nil, "deploy"), node("b", nil, "deploy"), node("c", nil, "other")
    assert.is_true(self:take(a))
    assert.is_false(self:take(b))
    assert.is_true(self:take(c))
    assert.same({ "b" }, names(self:give(a)))
  end)

  it("forget who waits when they are drained", function()
    local a, b = node("a", { db = 2 }), node("b", { db = 1 })
    self:take(a)
    self:take(b)
    assert.same({ "b" }, names(self:drain()))
    assert.same({}, self:give(a))
  end)

  it("serve all, whatever they need, and end with none taken", function()
    local random, queue, running, done = 7, {}, {}, 0
    local function pick(n)
      random = (random * 1103515245 + 12345) & 0x7fffffff
      return (random >> 16) % n
    end
    for i = 1, 500 do
      queue[i] = node(tostring(i),
        { db = pick(3) > 0 and pick(2) + 1 or nil, cpu = pick(2) > 0 and pick(4) + 1 or nil },
        pick(4) == 0 and "s" .. pick(3) or nil)
    end
    while done < 500 do
      while queue[1] do
        local each = table.remove(queue)
        if self:take(each) then running[#running + 1] = each end
      end
      assert.is_true(#running > 0, "all wait for each other")
      for _, each in ipairs(self:give(table.remove(running, pick(#running) + 1))) do
        queue[#queue + 1] = each
      end
      done = done + 1
    end
    for name, count in pairs(self.taken) do assert.equal(0, count, name) end
  end)

  it("cost the same for each job, however many wait", function()
    local function cost_of(count)
      local made, thousands, running = slots.new(function() return 1 end), 0, {}
      debug.sethook(function() thousands = thousands + 1 end, "", 1000)
      for i = 1, count do
        local each = node("j" .. i, { db = 1 })
        if made:take(each) then running[#running + 1] = each end
      end
      while running[1] do
        for _, each in ipairs(made:give(table.remove(running))) do running[#running + 1] = each end
      end
      debug.sethook()
      return thousands / count
    end
    local small, large = cost_of(1000), cost_of(16000)
    assert.is_true(large < small * 1.5, ("%g, then %g"):format(small, large))
  end)
end)
