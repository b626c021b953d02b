local model = require "orch.ui.model"
local screen = require "orch.ui.screen"
local style = require "orch.ui.style"
local term = require "orch.term"
local tree = require "orch.ui.tree"

local ASCII <const> = { LANG = "C", NO_COLOR = "1" }

local function env_of(variables) return function(name) return variables[name] end end

-- A run of these jobs, and what sends it events.
local function new_run(jobs)
  local known = model.new()
  local function send(kind, fields)
    fields.type, fields.clock = kind, fields.clock or 100
    known:take(fields)
  end
  send("run.start", { number = 1, recipe = "r", dir = "/", jobs = jobs })
  return known, send, tree.new(known, style.new(env_of(ASCII)))
end

local function start(send, id, title)
  send("step.start",
    { id = id, job = id:match("^[^/]+"), parent = id:match("^[^/]+"), depth = 0, verb = "run",
    title = title })
end

local function trimmed(lines)
  local list = {}
  for i, each in ipairs(lines) do list[i] = each:gsub("%s+$", "") end
  return list
end

describe("the picture", function()
  it("of one job is its steps and their last lines", function()
    local _, send, shown = new_run { "a" }
    send("job.start", { job = "a" })
    start(send, "a/run#1", "make")
    for i = 1, 20 do send("step.output", { id = "a/run#1", line = "line " .. i }) end
    assert.same({ "", "- make                              3 s", "  | line 15", "  | line 16",
      "  | line 17", "  | line 18",
      "  | line 19", "  | line 20" }, trimmed(shown:picture(103, 40, 24)))
  end)

  it("of several jobs has a line for each, and a count", function()
    local _, send, shown = new_run { "a", "b", "c" }
    send("job.start", { job = "a" })
    send("job.start", { job = "b", clock = 101 })
    start(send, "a/run#1", "make")
    assert.same({ "", "  a                                 3 s",
      "  - make                            3 s",
      "  b                                 2 s", "  2 running, 1 waiting              3 s" },
        trimmed(shown:picture(103, 40, 24)))
  end)

  it("says that the run is being cancelled", function()
    local _, send, shown = new_run { "a" }
    send("job.start", { job = "a" })
    local lines = shown:picture(103, 60, 24, true)
    assert.matches("cancelling%.%.%.  Ctrl%-C again kills at once", lines[#lines])
  end)

  it("has a bar for each transfer that is under way", function()
    local _, send, shown = new_run { "a" }
    send("job.start", { job = "a" })
    start(send, "a/run#1", "push")
    send("step.progress",
      { id = "a/run#1", label = "layer 1", current = 5000000, total = 10000000 })
    send("step.progress", { id = "a/run#1", label = "layer 2", current = 7, total = 7 })
    send("step.progress", { id = "a/run#1", label = "layer 3", current = 1500 })
    local lines = trimmed(shown:picture(103, 80, 24))
    assert.equal(4, #lines)
    assert.matches("layer 1 .*############%-%-%-%-%-%-%-%-%-%-%-%-  +5%.0 MB / 10%.0 MB$", lines[3])
    assert.matches("layer 3 .* 1%.5 kB$", lines[4])
  end)

  it("fits into the window, whatever runs", function()
    local jobs = {}
    for i = 1, 30 do jobs[i] = "job " .. i end
    local _, send, shown = new_run(jobs)
    for _, name in ipairs(jobs) do
      send("job.start", { job = name })
      start(send, name .. "/run#1", ("日本語\27[2J long title "):rep(20))
      send("step.output", { id = name .. "/run#1", line = ("x\t"):rep(200) })
      send("step.progress",
        { id = name .. "/run#1", label = ("日本"):rep(50), current = 1, total = 2 })
    end
    for _,
      size in ipairs { { 200, 50 }, { 80, 24 }, { 40, 10 }, { 20, 5 }, { 8, 3 }, { 2, 2 },
      { 1, 1 } } do
      local lines = shown:picture(103, size[1], size[2])
      assert.is_true(#lines <= math.max(size[2], 3), size[2])
      for _, line in ipairs(lines) do
        local _, columns = term.fit(line, 1000)
        assert.is_true(columns <= math.max(size[1], 12), ("%d columns: %q"):format(size[1], line))
        assert.is_nil(line:find("\27", 1, true))
      end
    end
  end)

  it("has a line for each job when there is no room for more, and says how many are left out",
    function()
    local jobs = {}
    for i = 1, 12 do jobs[i] = ("a_job_with_a_long_name_%02d"):format(i) end
    local _, send, shown = new_run(jobs)
    for _, name in ipairs(jobs) do
      send("job.start", { job = name })
      start(send, name .. "/run#1", "make")
    end
    start(send, jobs[2] .. "/run#2", "more")
    local lines = trimmed(shown:picture(103, 60, 12))
    assert.equal(10, #lines)
    assert.equal("- a_job_with…g_name_01  make                            3 s", lines[2])
    assert.matches("^%- .*_02  make  %(and 1 more%) +3 s$", lines[3])
    assert.equal("  ... 5 more jobs", lines[9])
    assert.matches("12 running", lines[10])
  end)

  it("names a job by both ends of its name", function()
    local _, _, shown = new_run { "a" }
    assert.same({ "short", 5 }, { shown.name("short", 8) })
    assert.same({ "buil…rm64", 9 }, { shown.name("build_image_arm64", 9) })
    assert.same({ 9 }, { select(2, shown.name("日本語日本語", 9)) })
  end)

  it("is nothing when nothing runs", function()
    local _, _, shown = new_run { "a" }
    assert.same({}, shown:picture(103, 80, 24))
  end)
end)

describe("the screen", function()
  local function fake()
    local log = {}
    return { log = log,
      write = function(_, ...) log[#log + 1] = "write " .. table.concat { ... } end,
      frame = function(_, text) log[#log + 1] = "frame " .. text end,
      pending = function() return 0 end }
  end

  it("ends a frame where it began, and says nothing twice", function()
    local out = fake()
    local shown = screen.new(out, 1)
    shown:flush { "", "one", "two" }
    shown:flush { "", "one", "two" }
    assert.equal(1, #out.log)
    assert.matches("\n.*\n.*\27%[2A\r.*\27%[%?25h", out.log[1])
    shown:line("stays")
    shown:flush { "", "one" }
    assert.matches("^write .*\27%[Jstays\n", out.log[2])
    assert.matches("^frame ", out.log[3])
    shown:close()
    assert.equal("frame ", out.log[4]) -- one that still waits must not come after the last line
    assert.matches("^write ", out.log[5])
  end)
end)

describe("the style", function()
  it("has colours unless NO_COLOR", function()
    assert.equal("\27[31mx\27[0m", style.new(env_of {}):paint("red", "x"))
    assert.equal("x", style.new(env_of { NO_COLOR = "1" }):paint("red", "x"))
    assert.equal("\27[31mx\27[0m", style.new(env_of { NO_COLOR = "" }):paint("red", "x"))
  end)

  it("has signs that the locale has", function()
    assert.equal("✓", style.new(env_of {}).signs.success)
    assert.equal("✓", style.new(env_of { LC_ALL = "", LANG = "de_DE.utf8" }).signs.success)
    assert.equal("+", style.new(env_of { LANG = "C" }).signs.success)
    assert.equal("+", style.new(env_of { LC_ALL = "POSIX", LANG = "en_US.UTF-8" }).signs.success)
  end)
end)
