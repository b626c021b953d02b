local amount = require "orch.amount"
local ci = require "orch.ui.ci"
local clock = require "orch.ui.clock"
local plain = require "orch.ui.plain"
local task = require "orch.task"

local now

-- A reporter whose lines are kept, in an environment of these variables.
local function reporter(variables)
  local out = { lines = {} }
  function out:write(...) table.insert(self.lines, (table.concat { ... }:gsub("\n$", ""))) end
  local made = plain.new(out, { env = function(name) return (variables or {})[name] end })
  local function send(kind, fields)
    fields.type, fields.clock = kind, now
    made:receive(fields)
  end
  send("run.start",
    { id = "x", number = 7, recipe = "r.lua", dir = "/nowhere", jobs = { "a", "b" } })
  return send, out.lines, made
end

local function job(send, name) send("job.start", { id = name, job = name }) end

local function step(send, id, title, fields)
  fields = fields or {}
  fields.id, fields.job, fields.title, fields.depth = id, id:match("^[^/]+"), title,
    fields.depth or 0
  fields.parent, fields.verb = fields.parent or fields.job, "run"
  send("step.start", fields)
end

local function print_line(send, id, line) send("step.output", { id = id, line = line }) end

local function finish(send, id, status, message, seconds)
  send("step.end",
    { id = id, job = id:match("^[^/]+"), status = status or "success", seconds = seconds or 1,
    message = message })
end

local function last(lines, count) return table.move(lines, #lines - count + 1, #lines, 1, {}) end

describe("the plain reporter", function()
  before_each(function() now = 100 end)

  it("prints headings and output as they come", function()
    local send, lines = reporter()
    job(send, "a")
    now = 101.5
    step(send, "a/run#1", "make")
    print_line(send, "a/run#1", "cc x.c")
    finish(send, "a/run#1", "success", nil, 0.9)
    assert.same({ "run 7 of r.lua", "\n== a", "-- make  (+1.5 s)", "   cc x.c" }, lines)
  end)

  it("tells how long a step took, when that was long, apart from when it began", function()
    local send, lines = reporter()
    job(send, "a")
    now = 190
    step(send, "a/run#1", "make")
    finish(send, "a/run#1", "success", nil, 12.3)
    assert.same({ "-- make  (+1 min 30 s)", "   ok after 12.3 s" }, last(lines, 2))
  end)

  it("says whose a line is once two jobs run", function()
    local send, lines = reporter()
    job(send, "a")
    step(send, "a/run#1", "make")
    print_line(send, "a/run#1", "alone")
    job(send, "b")
    print_line(send, "a/run#1", "not alone")
    assert.same({ "   alone", "b | == b", "a |    not alone" }, last(lines, 3))
  end)

  it("says which branch a line is from", function()
    local send, lines = reporter()
    job(send, "a")
    step(send, "a/left/run#1", "l")
    step(send, "a/right/run#1", "r")
    print_line(send, "a/left/run#1", "x")
    assert.same({ "a/right | -- r  (+0.0 s)", "a/left  |    x" }, last(lines, 2))
  end)

  it("obeys no control character, and shows what stays of an overwritten line", function()
    local send, lines = reporter()
    job(send, "a")
    step(send, "a/run#1", "t\27[2J\7")
    print_line(send, "a/run#1", "10%\r99%\r")
    print_line(send, "a/run#1", "\27[31mred\27[0m\27]0;x\7")
    assert.same({ "-- t\\x07  (+0.0 s)", "   99%", "   red\\x1b]0;x\\x07" }, last(lines, 3))
  end)

  it("hides nothing of a name or a message behind a carriage return", function()
    local send, lines = reporter()
    job(send, "a")
    step(send, "a/run#1", "push\rpull")
    finish(send, "a/run#1", "failed", "denied: no\rall is well\r")
    assert.same({ "-- push\\x0dpull  (+0.0 s)",
      "   FAILED after 1.0 s: denied: no\\x0dall is well" }, last(lines, 2))
  end)

  it("tells a failure once, where it happened", function()
    local send, lines = reporter()
    job(send, "a")
    step(send, "a/group#1", "tests", { group = true })
    step(send, "a/group#1/run#1", "unit", { parent = "a/group#1", depth = 1 })
    finish(send, "a/group#1/run#1", "failed", "unit: exit code 1")
    finish(send, "a/group#1", "failed", "unit: exit code 1")
    assert.same({ "  -- unit  (+0.0 s)", "   FAILED after 1.0 s: exit code 1" }, last(lines, 2))
    step(send, "a/~tidying/run#1", "undo", { parent = "a", depth = 1 })
    finish(send, "a/~tidying/run#1")
    local count = #lines
    send("job.end",
      { id = "a", job = "a", status = "failed", seconds = 1, message = "unit: exit code 1" })
    assert.equal(count, #lines)
  end)

  it("tells what failed outside the steps", function()
    local send, lines = reporter()
    job(send, "a")
    step(send, "a/run#1", "unit")
    finish(send, "a/run#1", "failed", "unit: exit code 1")
    send("job.retry", { id = "a", job = "a", attempt = 2, delay = 1, reason = "unit: exit code 1" })
    step(send, "a~2/run#1", "unit", { parent = "a" })
    finish(send, "a~2/run#1")
    send("job.end",
      { id = "a", job = "a", status = "failed", seconds = 2, message = "r.lua:3: a nil value" })
    assert.equal("   FAILED after 2.0 s: r.lua:3: a nil value", lines[#lines])
  end)

  it("shows warnings", function()
    local send, lines = reporter()
    send("warning", { id = "a", job = "a", message = "too\27[2J short" })
    assert.equal("   warning: too short", (lines[#lines]:gsub("\\x1b%[2J", "")))
  end)

  it("is never silent for more than ten seconds while something runs", function()
    -- the reporter's own clock says how long it runs; it may count from the machine's start
    now = task.clock() - 3
    local send, lines, made = reporter()
    job(send, "a")
    step(send, "a/run#1", "long")
    made.last = made.last - 9
    made:tick()
    assert.equal("-- long  (+0.0 s)", lines[#lines])
    made.last = made.last - 2
    made:tick()
    assert.matches("^   %.%.%. still running: long %([345] s%)$", lines[#lines])
    local count = #lines
    made:tick()
    assert.equal(count, #lines)
  end)

  it("is not silent either while a job has no step, or waits", function()
    local send, lines, made = reporter()
    job(send, "a")
    send("job.waiting", { id = "b", job = "b", serial = "deploy" })
    made.last = made.last - 11
    made:tick()
    assert.matches("still running: job a %(.*%), job b waits for its turn in 'deploy' %(",
      lines[#lines])
  end)
end)

describe("CI services", function()
  before_each(function() now = 100 end)

  local function failing(send)
    job(send, "a")
    step(send, "a/run#1", "build: 100%", { where = "ci/r.lua:12" })
    print_line(send, "a/run#1", "::error::not ours")
    finish(send, "a/run#1", "failed", "build: exit code 1,\nreally")
  end

  it("GitHub Actions: groups and an error at its line; output gives no commands", function()
    local send, lines = reporter { GITHUB_ACTIONS = "true" }
    failing(send)
    assert.same({ "::group::build: 100%25  (+0.0 s)", "   \\x3a:error::not ours",
      "   FAILED after 1.0 s: build: exit code 1,", "::endgroup::",
      "::error file=ci/r.lua,line=12::a: build: exit code 1,\\x0areally" }, last(lines, 5))
    local clean =
      ci.dialect(function(name) return name == "GITHUB_ACTIONS" and "true" or nil end).clean
    assert.equal("  \\x3a:set-env", clean "  ::set-env")
    assert.equal("a \\x23#[add-mask]", clean "a ##[add-mask]")
  end)

  it("GitLab: sections that begin and end", function()
    local send, lines = reporter { GITLAB_CI = "true" }
    failing(send)
    assert.matches("^\27%[0Ksection_start:%d+:orch_a_run_1\r\27%[0Kbuild: 100%%  %(%+", lines[3])
    assert.matches("^\27%[0Ksection_end:%d+:orch_a_run_1\r\27%[0K$", lines[#lines])
  end)

  it("Buildkite: groups, the failed one open", function()
    local send, lines = reporter { BUILDKITE = "true" }
    failing(send)
    assert.same({ "--- build: 100%  (+0.0 s)", "   ::error::not ours",
      "   FAILED after 1.0 s: build: exit code 1,", "^^^ +++" }, last(lines, 4))
  end)

  it("have no groups while several things run", function()
    local send, lines = reporter { GITHUB_ACTIONS = "true" }
    job(send, "a")
    step(send, "a/run#1", "one")
    job(send, "b")
    step(send, "b/run#1", "two")
    assert.same({ "::group::one  (+0.0 s)", "::endgroup::", "b | == b", "b | -- two  (+0.0 s)" },
      last(lines, 4))
  end)
end)

describe("times and sizes", function()
  it("read well", function()
    assert.same({ "0.4 ms", "12 ms", "3.4 s", "2 min 05 s", "1 h 02 min", "1 min 00 s" },
      { clock.duration(0.0004),
      clock.duration(0.012), clock.duration(3.4), clock.duration(125), clock.duration(3720),
      clock.duration(59.97) })
    assert.same({ "0 s", "59 s", "1 min 00 s" },
      { clock.running(0.9), clock.running(59.4), clock.running(60.2) })
    assert.same({ "0 B", "999 B", "1.0 kB", "12.3 MB", "100 MB", "1.0 GB" },
      { amount.size(0), amount.size(999),
      amount.size(1000), amount.size(12300000), amount.size(99999999), amount.size(999999999) })
  end)
end)
