local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local processes = require "e2e.processes"
local support = require "e2e.support"

local PYTHON <const> = "/usr/bin/python3" -- Debian's, which has Debian's modules
local DEMO <const> = support.root .. "/examples/demo.lua"

-- Validates JSON lines by a schema; prints what is wrong.
local VALIDATE <const> = [[
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
check, kinds = jsonschema.Draft202012Validator(schema), set()
for line in sys.stdin:
    event = json.loads(line)
    kinds.add(event["type"])
    for error in check.iter_errors(event):
        print(line.strip(), "\n   ", error.message)
print("kinds", " ".join(sorted(kinds)))
]]

local function find(lines, text)
  for i, line in ipairs(lines) do
    if line:find(text, 1, true) then return i, line end
  end
end

describe("a run", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  -- What a person sees of `orch ARGS…` in a terminal of that size while doing these things.
  local function see(size, actions, args, variables)
    local environment = fs.environment()
    environment.ORCH_STATE, environment.TMPDIR = scratch:path("state"), scratch:path("tmp")
    environment.LANG, environment.LC_ALL, environment.TERM, environment.NO_COLOR = "C.UTF-8", nil,
      "xterm", nil
    for name, value in pairs(variables or {}) do environment[name] = value end
    local result =
      assert(proc.run { argv = { PYTHON, support.root .. "/tests/e2e/screen.py", size, actions,
      "--",
      support.orch, table.unpack(args) }, env = environment, timeout = 90, output_max = 64 << 20 })
    assert.equal(0, result.code, result.stdout)
    local seen = json.decode(result.stdout)
    assert.is_false(seen.late, "it did not end")
    return seen
  end

  local function has(lines, ...)
    for _, text in ipairs { ... } do
      assert.is_truthy(find(lines, text),
        ("%q is not in:\n%s"):format(text, table.concat(lines, "\n")))
    end
  end

  describe("in a terminal", function()
    for _, size in ipairs { "40x30", "80x30", "120x40", "200x50" } do
      it("is a pleasure at " .. size, function()
        local seen = see(size, "wait:core snap:early", { "run", DEMO, "speed=4" })
        assert.equal(0, seen.code)
        has(seen.snaps.early, "lint", "compile", "libraries", "2 running")
        has(seen.all, "run 1 ·", "✓ lint     luacheck", "✓ compile  libraries › ",
          "✓ publish  transfer",
          "published for 2", "✓ run 1 in ")
        assert.is_nil(find(seen.screen, "running"), "the picture is gone at the end")
        assert.is_nil(find(seen.screen, "CC core"), "output of what went well is not shown")
        assert.is_true(seen.cursor_shown and seen.wraps)
      end)
    end

    it("shows all output of what failed, once", function()
      local seen = see("100x40", "", { "run", DEMO, "speed=20", "fail=true" })
      assert.equal(1, seen.code)
      has(seen.all, "✗ test     integration tests", "  │ ok 1/11", "  │ not ok 12 - parser",
        "  exit code 1", "✗ run 1 failed",
        "· publish  not run", "go on with: orch resume 1",
        "  at: step \"integration tests\", job test, ")
      local _, times = table.concat(seen.all, "\n"):gsub("│ ok 11/11", "")
      assert.equal(1, times)
    end)

    it("obeys nothing that a program prints", function()
      local path = scratch:write("r.lua", [[
return require "orch".job { name = "job", run = function(job)
  job:run { name = "t\27[2J\27]0;x\7", "printf 'first\\033[2J\\033[10A\\n10%%\\r99%%\\nno newline'; exit 3" }
end }]])
      local seen = see("80x24", "", { "run", path })
      assert.equal("run 1 · " .. path, seen.screen[1])
      has(seen.screen, "✗ t\\x1b]0;x\\x07", "│ first", "│ 99%", "│ no newline", "exit code 3")
      assert.is_nil(find(seen.screen, "│ 10%"))
    end)

    it("says that it is being cancelled, and is killed by a second Ctrl-C", function()
      local path = scratch:write("r.lua", [[
return require "orch".job { name = "job", run = function(job)
  job:run { name = "stubborn", "trap '' TERM; echo started; while :; do sleep 0.1; done" }
end }]])
      local seen = see("80x24",
        "wait:started type:\\x03 wait:cancelling snap:cancelling type:\\x03", { "run", path })
      has(seen.snaps.cancelling, "cancelling…  Ctrl-C again kills at once")
      assert.equal(130, seen.code)
      has(seen.screen, "killed; go on with: orch resume 1")
      assert.is_nil(find(seen.screen, "│ started"),
        "the picture is gone: " .. table.concat(seen.screen, "\n"))
      assert.is_true(seen.cursor_shown and seen.wraps)
    end)

    it("ends in order after one Ctrl-C", function()
      local seen = see("80x24", "wait:CC type:\\x03", { "run", DEMO })
      assert.equal(130, seen.code)
      has(seen.screen, "■ run 1 cancelled in ", "orch: cancelled by Ctrl-C")
      assert.is_true(seen.cursor_shown and seen.wraps)
    end)

    it("leaves the terminal usable when it is killed", function()
      local seen = see("80x24", "wait:CC kill:9", { "run", DEMO })
      assert.equal(-9, seen.code)
      assert.is_true(seen.cursor_shown and seen.wraps)
    end)

    it("follows the window", function()
      local seen = see("100x30",
        "wait:CC size:50x30 pause:0.5 snap:narrow size:120x30 pause:0.5 snap:wide", { "run", DEMO })
      local _, narrow = find(seen.snaps.narrow, "running ·")
      assert.equal(49, utf8.len(narrow))
      local _, wide = find(seen.snaps.wide, "running ·")
      assert.equal(100, utf8.len(wide))
    end)

    it("neither waits for a terminal that does not read nor loses a line", function()
      local path = scratch:write("r.lua", ([[
return require "orch".job { name = "job", run = function(job)
  for i = 1, 300 do job:log("line %%d", i) end
  job:run "seq 1 200000"
  job:run { "touch", %q }
  for i = 301, 600 do job:log("line %%d", i) end
end }]]):format(scratch:path("touched")))
      local seen = see("80x24", "deaf:4 pause:0.1", { "run", path })
      assert.equal(0, seen.code)
      local written = fs.stat(scratch:path("touched"))
      assert.is_truthy(written)
      local expected, number = 1, nil
      for _, line in ipairs(seen.all) do
        number = line:match("^  line (%d+)$")
        if number then
          assert.equal(expected, tonumber(number))
          expected = expected + 1
        end
      end
      assert.equal(601, expected)
      assert.is_true(seen.bytes < 200000, "frames are left out")
    end)

    it("has no colours with NO_COLOR, and is plain in a dumb one", function()
      local coloured = see("80x24", "", { "run", DEMO, "speed=50" })
      local without = see("80x24", "", { "run", DEMO, "speed=50" }, { NO_COLOR = "1" })
      assert.is_true(coloured.colours > 0)
      assert.equal(0, without.colours)
      has(without.screen, "✓ run 2 in ")
      has(see("80x50", "", { "run", DEMO, "speed=50", "--job", "lint" }, { TERM = "dumb" }).all,
        "-- luacheck  (+", "== summary of run 3")
    end)

    it("asks", function()
      local path = scratch:write("r.lua", [[
return require "orch".job { name = "job", run = function(job)
  job:ask { "go", question = "Deploy?" }
  job:log("deployed")
end }]])
      local seen = see("80x24", "wait:Deploy?__(yes/no) type:yes\\r", { "run", path })
      assert.equal(0, seen.code, table.concat(seen.screen, "\n"))
      has(seen.screen, "? Deploy?  (yes/no)", "yes", "✓ Deploy?", "deployed")
    end)
  end)

  describe("as JSON", function()
    local kinds = {}

    local function kinds_of_schema()
      return json.decode(assert(fs.read(support.root
        .. "/lua/orch/ui/events.schema.json"))).properties.type.enum
    end

    local function check(result)
      local found =
        assert(proc.run { argv = { PYTHON, "-c", VALIDATE,
        support.root .. "/lua/orch/ui/events.schema.json" },
        input = result.out })
      assert.matches("^kinds ", found.stdout)
      for kind in found.stdout:match("^kinds (.*)"):gmatch("%S+") do kinds[kind] = true end
    end

    it("is what the schema says, every event of it", function()
      check(scratch:orch { "run", DEMO, "speed=50", "--format", "json" })
      check(scratch:orch { "run", DEMO, "speed=50", "fail=true", "--format", "json" })
      check(scratch:orch { "resume", "2", "--format", "json" })
      local path = scratch:write("r.lua", [[
local orch = require "orch"
local tried = 0
return orch.pipeline {
  orch.job { name = "flaky", serial = "one", retry = { attempts = 2, delay = 0.01 }, run = function(job)
    tried = tried + 1
    if tried == 1 then orch.fail("first") end
    job:ask { "go" }
  end },
}]])
      check(scratch:orch { "run", path, "--format", "json" })
      fs.write(path, assert(fs.read(path)) .. "\n")
      check(scratch:orch { "resume", "3", "--format", "json", "--answer", "go=yes" })
      local held = scratch:write("h.lua", [[
local orch = require "orch"
print "outside of jobs"
return orch.pipeline {
  orch.job { name = "short", serial = "one", secrets = { "SPEC_SHORT?" }, run = function(job)
    job:run { "touch", job.project.dir .. "/begun" }
    job:run "sleep 0.5"
  end },
  orch.job { name = "second", run = function(job) return job.needs.nobody end },
  orch.job { name = "third", needs = { short = "failed" }, run = function() end },
}]])
      local first <close> = scratch:start { "run", held, "-k", "--project", scratch.dir }
      assert.is_truthy(processes.wait_until(function() return fs.stat(scratch:path("begun")) end))
      check(scratch:orch({ "run", held, "--format", "json", "-k", "--project", scratch.dir },
        { SPEC_SHORT = "ab" }))
      first:wait()
      for _, kind in ipairs(kinds_of_schema()) do
        -- A container needs a daemon.
        assert.is_true(kinds[kind] or kind == "container", "no event of kind " .. kind)
      end
    end)

    it("tells of a failure what it is, where it was, and what to do", function()
      local result = scratch:recipe("job:run { name = 'check', 'exit 7' }", { "--format", "json" })
      local ends = {}
      for line in result.out:gmatch("[^\n]+") do
        local event = json.decode(line)
        if event.error then ends[event.type] = event.error end
      end
      local path = scratch:path("recipe.lua") .. ":4"
      assert.same({ kind = "failed", message = "exit 7: exit code 7", op = "run", code = 7,
        step = "check", where = path },
        ends["step.end"])
      ends["step.end"].job = "job"
      assert.same(ends["step.end"], ends["job.end"])
      assert.same(ends["step.end"], ends["run.end"])
    end)

    it("has every kind of event that the engine sends in its schema", function()
      local known = table.concat(kinds_of_schema(), " ") .. " "
      local found =
        assert(proc.run { argv = { "grep", "-rhoE", "(emit|announce)\\((job, step, )?\"[a-z.]+\"",
        support.root .. "/lua/orch" } })
      local count = 0
      for kind in found.stdout:gmatch('"([a-z.]+)"') do
        count = count + 1
        assert.is_truthy(known:find(kind .. " ", 1, true), kind)
      end
      assert.is_true(count > 15, found.stdout)
    end)

    it("tells errors as JSON too", function()
      for _,
        args in ipairs { { "run", DEMO, "nope=1", "--format", "json" },
        { "run", "--format=json", "/nowhere.lua" },
        { "show", "99", "--json" } } do
        local result = scratch:orch(args)
        local failure = json.decode(result.err).error
        assert.equal(result.code, failure.exit_code)
        assert.is_string(failure.message)
      end
    end)
  end)

  it("groups its log in GitHub Actions, one job at a time", function()
    local result = scratch:orch({ "run", DEMO, "speed=50", "--jobs", "1", "--job", "lint" },
      { GITHUB_ACTIONS = "true" })
    local _, opened = result.out:gsub("\n::group::", "")
    local _, closed = result.out:gsub("\n::endgroup::", "")
    assert.same({ 2, 2 }, { opened, closed })
  end)

  it("shows errors without obeying them, and without secrets", function()
    local result =
      scratch:recipe([[orch.fail("server: \27[2J%s\norch: all is well", os.getenv "TOKEN")]], {},
      { TOKEN = "correct-horse" }, "secrets = { 'TOKEN' },")
    assert.equal("orch: server: ***\n  orch: all is well\n", result.err:match("^(.-\n)  at: "))
    assert.is_nil(result.all:find("correct-horse", 1, true))
  end)

  it("takes nobody's reading for granted: a closed pipe is an error, not the end", function()
    local path = scratch:write("r.lua", ([[
return require "orch".job { name = "job", run = function(job)
  job:run "sleep 0.2; seq 1 100000"
  job:run { "touch", %q }
end }]]):format(scratch:path("touched")))
    local result =
      assert(proc.run { argv = { "sh", "-c", ("%s run %s | true"):format(support.orch, path) },
      split = true,
      env = { ORCH_STATE = scratch:path("state"), PATH = os.getenv "PATH",
        HOME = os.getenv "HOME" } })
    assert.is_truthy(fs.stat(scratch:path("touched")))
    assert.matches("orch: .*[Bb]roken pipe", result.stderr)
  end)
end)
