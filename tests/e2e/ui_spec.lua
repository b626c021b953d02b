local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"

local PYTHON <const> = "/usr/bin/python3" -- Debian's, which has Debian's modules
local DEMO <const> = support.root .. "/examples/demo.lua"

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
