local orch = require "orch"
local pipeline = require "orch.pipeline"

local function job(name, needs, more)
  local description = { name = name, needs = needs, run = function() end }
  for key, value in pairs(more or {}) do description[key] = value end
  return orch.job(description)
end

local function fails(kind, pattern, f, ...)
  local good, failure = pcall(f, ...)
  assert.is_false(good)
  assert.equal(kind, failure.kind)
  assert.matches(pattern, failure.message)
end

local function refused(...) fails("usage", ...) end

-- Each after what it needs, and each once.
local function check_order(self, wanted)
  local at, order = {}, self:order(wanted)
  for i, name in ipairs(order) do
    assert.is_nil(at[name])
    at[name] = i
  end
  for _, name in ipairs(order) do
    for _, need in ipairs(self.by_name[name].resolved_needs) do
      assert.is_true(at[need.name] < at[name])
    end
  end
  return order
end

describe("pipeline", function()
  it("orders jobs after what they need, whatever the order given", function()
    local self = pipeline.define { job("d", { "b", "c" }), job("c", { "a" }), job("b", { "a" }),
      job "a", job "x" }
    assert.equal(5, #check_order(self))
    assert.same({ "a", "c" }, check_order(self, { "c" }))
    assert.same({ "a", "x" }, check_order(self, { "a", "x", "a" }))
    assert.same({ a = true, b = true, c = true }, self:upstream "d")
    assert.same({}, self:upstream "x")
    assert.is_true(pipeline.is(self))
    assert.is_false(pipeline.is {})
  end)

  it("orders a thousand jobs in a chain and in a fan", function()
    local chain, fan = {}, { job "root" }
    for i = 1000, 1, -1 do
      chain[#chain + 1] = job("j" .. i, i > 1 and { "j" .. (i - 1) } or nil)
    end
    for i = 1, 1000 do fan[#fan + 1] = job("j" .. i, { "root" }) end
    assert.equal("j1000", check_order(pipeline.define(chain))[1000])
    assert.equal("root", check_order(pipeline.define(fan))[1])
  end)

  it("orders a chain longer than a stack, the longest there may be, and tells a circle of that length", function()
    local chain = {}
    for i = 100000, 1, -1 do
      chain[#chain + 1] = job("j" .. i, i > 1 and { "j" .. (i - 1) } or nil)
    end
    local self = pipeline.define(chain)
    assert.equal("j100000", self:order()[100000])
    fails("limit", "at most 100000 jobs, 'more' %(.*:%d+%) would be one more", self.grow, self,
      { job "more" })
    assert.equal(100000, #self.names)
    chain[#chain] = job("j1", { "j100000" })
    refused("in a circle: j100000 %-> j99999 .* more … %-> j100000$", pipeline.define, chain)
  end)

  it("orders random graphs", function()
    local random = 7
    for _ = 1, 50 do
      local jobs = {}
      for i = 1, 12 do
        local needs = {}
        for k = 1, i - 1 do
          random = (random * 1103515245 + 12345) & 0x7fffffff
          if (random >> 16) % 4 == 0 then needs[#needs + 1] = "j" .. k end
        end
        table.insert(jobs, (random >> 16) % (#jobs + 1) + 1, job("j" .. i, needs))
      end
      assert.equal(12, #check_order(pipeline.define(jobs)))
    end
  end)

  it("names the circle in which jobs need each other", function()
    refused("in a circle: a %-> b %-> c %-> a$", pipeline.define,
      { job("a", { "b" }), job("b", { "c" }), job("c", { "a" }) })
    refused("in a circle: .*me %-> me$", pipeline.define, { job("me", { "me" }) })
    refused("in a circle: .*b %-> c %-> b$", pipeline.define,
      { job("a", { "b" }), job("b", { "c" }), job("c", { "b" }) })
  end)

  it("names a need that is no job, and what was meant", function()
    refused("job 'push' %(.*pipeline_spec.lua:%d+%) needs 'biuld', which is no job of the pipeline; did you mean 'build'%?",
      pipeline.define, { job "build", job("push", { "biuld" }) })
  end)

  it("refuses two jobs of one name, in any case", function()
    refused("two jobs are named 'build' %(.*:%d+ and .*:%d+%): 'Build' differs only in case",
      pipeline.define,
      { job "build", job "Build" })
  end)

  it("refuses what is no pipeline", function()
    refused("no jobs", pipeline.define, {})
    refused("expected jobs, each made by orch.job {.*}, got string", pipeline.define, { "build" })
    refused("expected jobs, each made by orch.job {.*}, got table", pipeline.define,
      { { name = "x", run = print } })
    refused("jobs stand in the list itself", pipeline.define, { jobs = { job "a" } })
    refused("unknown option 'parms'; did you mean 'params'%?", pipeline.define,
      { job "a", parms = {} })
    refused("there is no job 'biuld'; did you mean 'build'%?", function()
      pipeline.define({ job "build" }):order { "biuld" }
    end)
  end)

  it("refuses a matrix of more combinations than there may be", function()
    local axes, values = {}, {}
    for i = 1, 10 do values[i] = i end
    for i = 1, 60 do axes["a" .. i] = values end
    fails("limit", "matrix of 'test' has more than 100000 combinations", pipeline.define,
      { job("test", nil, { matrix = axes }) })
  end)

  it("makes an instance of a job for each combination of its matrix", function()
    local self = pipeline.define {
      job("test", nil,
        { matrix = { os = { "a", "b" }, v = { 1, 2 }, exclude = { { os = "b", v = 1 } } } }),
      job("push", { "test" }) }
    assert.same({ "test-a-1", "test-a-2", "test-b-2", "push" }, self.names)
    assert.same({ ["test-a-1"] = true, ["test-a-2"] = true, ["test-b-2"] = true },
      self:upstream "push")
    assert.same({ "test-a-1", "test-a-2", "test-b-2" }, check_order(self, { "test" }))
    refused("excludes all its combinations", pipeline.define,
      { job("t", nil, { matrix = { v = { 1 }, exclude = { { v = 1 } } } }) })
    refused("must be a list with at least one value", pipeline.define,
      { job("t", nil, { matrix = { v = {} } }) })
  end)

  it("grows while it runs, with the same checks", function()
    local self = pipeline.define { job "a" }
    self:connect(self:add(job("late", { "a" })))
    assert.same({ "a", "late" }, check_order(self, { "late" }))
    refused("two jobs are named 'late'", self.add, self, job "late")
    refused("which is no job", function() self:connect(self:add(job("lost", { "nowhere" }))) end)
  end)

  it("keeps nothing of what was added in vain", function()
    local self = pipeline.define { job "a", job "t-2" }
    local matrix = job("t", nil, { matrix = { v = { 1, 2 } } })
    refused("two jobs are named 't%-2'", self.grow, self, { job "b", matrix })
    assert.same({ "a", "t-2" }, self.names)
    assert.same({ "b" }, self:grow { job "b" })
    refused("needs 't', which is no job", self.grow, self, { job("c", { "t" }) })
    assert.same({ "d", "c" }, self:grow { job("c", { "d", "a" }), job "d" })
  end)

  it("grows by one job at the same cost, however many there are", function()
    local function cost_of(count)
      local self, thousands = pipeline.define { job "j0" }, 0
      debug.sethook(function() thousands = thousands + 1 end, "", 1000)
      for i = 1, count do self:grow { job("j" .. i, { "j" .. (i - 1) }) } end
      debug.sethook()
      return thousands / count
    end
    local small, large = cost_of(500), cost_of(4000)
    assert.is_true(large < small * 1.5, ("%g, then %g"):format(small, large))
  end)
end)

describe("a job's definition", function()
  it("tells where it was made", function()
    assert.matches("pipeline_spec.lua:%d+$", job "a".where)
  end)

  it("takes names that can stand in paths", function()
    for _, good in ipairs { "a", "build_push-1.2", "7up" } do assert.equal(good, job(good).name) end
    for _, bad in ipairs { "", ".", "..", "-a", "_a", "a/b", "a b", "é", "a\0" } do
      refused("must be letters, digits and _ %. %-", job, bad)
    end
  end)

  it("knows in which states a needed job counts", function()
    local needs = job("a",
      { "x", y = "failed", z = { "success", "canceled" }, w = "terminal" }).needs
    local states = {}
    for _, need in ipairs(needs) do states[need.name] = need.states end
    assert.same({ x = { success = true }, y = { failed = true },
      z = { success = true, cancelled = true },
      w = { success = true, failed = true, cancelled = true, not_run = true } }, states)
    refused("needs 'x' to be 'sucess'; known: ", job, "a", { x = "sucess" })
  end)

  it("needs a name and a body, and refuses what it does not know", function()
    refused("option 'name' is missing", orch.job, { run = print })
    refused("option 'run' is missing", orch.job, { name = "a" })
    refused("unknown option 'need'; did you mean 'needs'%?", job, "a", nil, { need = { "b" } })
    refused("unknown option 'attempt'; did you mean 'attempts'%?", job, "a", nil,
      { retry = { attempt = 2 } })
  end)
end)
