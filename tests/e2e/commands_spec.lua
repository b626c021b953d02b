local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"

describe("the command line", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  local function orch(...) return scratch:orch { ... } end

  local function commands()
    local names = {}
    for name in orch("rnu").err:match("known: ([^)]*)"):gmatch("[%w]+") do
      names[#names + 1] = name
    end
    return names
  end

  it("has a page for each command: short, with three examples", function()
    local names = commands()
    assert.is_true(#names > 15)
    local overview = orch("help").out
    for _, name in ipairs(names) do
      local page = orch("help", name)
      assert.equal(0, page.code, page.all)
      local _, lines = page.out:gsub("\n", "")
      local _, examples = page.out:gsub("\n  [^\n]*%f[%w]orch%f[%W][^\n]*", "")
      assert.is_true(lines <= 40, name)
      assert.is_true(examples >= 3, ("%s: %d examples"):format(name, examples))
      assert.matches("\n  " .. name, "\n" .. overview:gsub("version, help", "version\n  help"))
      if name ~= "lua" then assert.equal(page.out, orch(name, "--help").out, name) end
    end
    assert.matches("did you mean 'resume'", orch("help", "resmue").err)
    assert.equal(overview, orch("--help").out)
    assert.equal(overview, orch().out)
  end)

  it("names each option of a command on its page, or for all in the overview", function()
    local overview, tried = orch("help").out, 0
    for _, name in ipairs(commands()) do
      local page = orch("help", name).out .. overview
      for option in (orch(name, "--no-such-option").err:match("known: ([^)]*)")
        or ""):gmatch("%-%-[%a-]+") do
        assert.is_truthy(page:find(option, 1, true),
          ("orch help %s says nothing of %s"):format(name, option))
        tried = tried + 1
      end
    end
    assert.is_true(tried > 40)
  end)

  it("refuses what it does not know, and says what was meant", function()
    for _,
      each in ipairs { { { "runs", "--jsno" }, "did you mean '%-%-json'" },
      { { "runs", "more" }, "unexpected 'more'" },
      { { "gc", "--keep", "few" }, "%-%-keep takes a whole number, got 'few'" },
      { { "gc", "--keep" }, "%-%-keep needs a value" },
      { { "show", "one" }, "'one' is no number of a run" }, { { "run" }, "which recipe" },
      { { "discard" }, "which run" } } do
      local result = scratch:orch(each[1])
      assert.equal(2, result.code, result.all)
      assert.matches(each[2], result.err)
      assert.equal("", result.out)
    end
  end)

  it("makes no recipe of a typo, and takes no negative numbers", function()
    local wrong = scratch:orch { "new", "recpie", "x" }
    assert.equal(2, wrong.code)
    assert.matches("there is no 'recpie' to make; did you mean 'recipe'?", wrong.err, 1, true)
    wrong = scratch:orch { "gc", "--keep", "-1" }
    assert.equal(2, wrong.code)
    assert.matches("--keep takes a whole number that is not negative, got '-1'", wrong.err, 1, true)
  end)

  it("takes short options with their value glued on, and no more than that", function()
    local path = scratch:write("r.lua",
      "return require('orch').job { name = 'a', run = function() end }")
    assert.equal(0, orch("run", path, "-j2", "-k").code)
    assert.matches("%-%-jobs takes a number of at least 1", orch("run", path, "-j0").err)
    assert.matches("unknown option '%-kj'", orch("run", path, "-kj").err)
  end)

  it("tells a recipe's parameters and jobs, and takes them from everywhere", function()
    local path = scratch:write("r.lua", [[
local orch = require "orch"
return orch.pipeline { params = { stage = { "string", default = "test", enum = { "test", "live" }, doc = "where it goes" }, count = "integer?" },
  orch.job { name = "a", run = function(job) job:log("stage %s count %s", job.params.stage, tostring(job.params.count)) end },
  orch.job { name = "b", needs = { "a" }, run = function() end } }]])
    local help = orch("run", path, "--help").out
    assert.matches("stage +string +one of test, live; default test\n +where it goes", help)
    assert.matches("count +integer +optional\n", help)
    assert.matches("b  after a", help)
    local file = scratch:write("p.json", [[{ "stage": "live", "count": 2 }]])
    assert.matches("stage test count nil", orch("run", path).out)
    assert.matches("stage live count 2", orch("run", path, "--params", file).out)
    assert.matches("stage live count 3", orch("run", path, "--params", file, "count=3").out)
    assert.matches("stage live count 5",
      scratch:orch({ "run", path }, { ORCH_PARAM_STAGE = "live", ORCH_PARAM_COUNT = "5" }).out)
    assert.matches("stage test count 5",
      scratch:orch({ "run", path, "stage=test" },
      { ORCH_PARAM_STAGE = "live", ORCH_PARAM_COUNT = "5" }).out)
    local wrong = orch("run", path, "stage=prod")
    assert.equal(2, wrong.code)
    assert.matches("'stage' must be one of test, live, got 'prod'", wrong.err)
  end)

  it("plans, compares plans, checks and draws", function()
    local path = scratch:write("r.lua", [[
local orch = require "orch"
return orch.pipeline { params = { tag = { "string", default = "1" } },
  orch.job { name = "a", run = function(job) job:docker_build { tags = { "x/y:" .. job.params.tag } } end },
  orch.job { name = "b", needs = { a = { "success", "failed" } }, run = function(job) job:docker_push { tags = { "x/y:1" } } end } }]])
    local old = scratch:write("old.json", orch("plan", path, "--json").out)
    assert.equal("", orch("plan", path, "--diff", old).out)
    assert.matches('- +tags = %["x/y:1"%]\n%+ +tags = %["x/y:2"%]',
      orch("plan", path, "--diff", old, "tag=2").out)
    assert.equal(2, orch("plan", path, "--diff", scratch:write("no.json", "{}")).code)
    assert.equal("nothing found\n", orch("check", path).out)
    local found = orch("check", path, "tag=2", "--json")
    assert.equal(7, found.code)
    local findings = json.decode(found.out)
    assert.equal(1, #findings)
    assert.matches("r.lua:3$", findings[1].where)
    assert.equal("a\n   └─ b  after a (failed|success)\n", orch("graph", path).out)
    assert.equal('digraph pipeline {\n  rankdir = LR;\n  node [shape = box];\n  "a";\n  "b";\n  "a" -> "b" [label = "failed|success"];\n}\n',
      orch("graph", path, "--dot").out)
  end)

  it("ends with the code that the kind of error has", function()
    for kind,
      code in pairs { failed = 1, usage = 2, auth = 3, net = 4, remote = 4, missing = 5,
      conflict = 6, timeout = 8, limit = 8, io = 9 } do
      local result =
        scratch:recipe(("error(require('orch.error').new { kind = '%s', message = 'it is %s' }, 0)"):format(kind, kind))
      assert.equal(code, result.code, result.all)
      assert.matches("orch: it is " .. kind, result.err, 1, true)
    end
  end)

  it("describes a recipe to machines", function()
    local path = scratch:write("p.lua", [[
local orch = require "orch"
return orch.pipeline { params = { n = { "integer", default = 1, max = 5, doc = "how many" }, s = "string" },
  orch.job { name = "a", run = print }, orch.job { name = "b", needs = { a = "failed" }, run = print } }]])
    local told = json.decode(orch("run", path, "--help", "--json").out)
    assert.same({ { name = "n", type = "integer", default = 1, max = 5, doc = "how many",
      required = false },
      { name = "s", type = "string", required = true } }, told.params)
    assert.same({ { name = "a", needs = {} }, { name = "b", needs = { "a" } } }, told.jobs)
    assert.same({ { name = "a", on = { "failed" } } },
      json.decode(orch("graph", path, "--json").out).jobs[2].needs)
    local events = orch("run", path, "--json", "s=x", "--job", "a")
    assert.equal("run.start", json.decode(events.out:match("[^\n]+")).type)
    assert.equal(2, orch("run", path, "--json", "--format", "tty", "s=x").code)
  end)

  it("writes what machines read to stdout, and nothing else", function()
    scratch:recipe "job:run 'exit 1'"
    for _, command in ipairs { { "runs" }, { "show" }, { "logs" } } do
      local result = scratch:orch { command[1], "--json" }
      assert.equal(0, result.code)
      assert.equal("", result.err)
      for line in (command[1] == "logs" and result.out or ""):gmatch("[^\n]+") do
        assert(json.decode(line))
      end
      if command[1] ~= "logs" then assert(json.decode(result.out)) end
    end
    for _,
      command in ipairs { { "version" }, { "verbs" }, { "verbs", "docker_build" },
      { "gc", "--dry-run" } } do
      table.insert(command, "--json")
      local result = scratch:orch(command)
      assert.equal(0, result.code, result.all)
      assert.equal("", result.err)
      assert(json.decode(result.out))
    end
    local plain = assert(proc.run { argv = { support.orch, "version" }, env = {}, split = true })
    assert.matches("^orch %d+%.%d+%.%d+\n$", plain.stdout)
  end)

  it("draws each job below the last of those that it needs", function()
    local path = scratch:write("r.lua", [[local orch = require "orch"
local function job(name, needs) return orch.job { name = name, needs = needs, run = function() end } end
return orch.pipeline { job("a", {}), job("b", { a = "failed" }), job("c", { a = "terminal" }), job("d", { "b" }), job("e", { "a", "f" }), job("f", {}) }
]])
    assert.equal([[
a
   ├─ b  after a (failed)
   │  └─ d  after b
   ├─ c  after a (terminal)
   └─ e  after a, f
f
]], orch("graph", path).out)
  end)

  it("takes no half of what it prints for the whole: a full or closed stdout is an error, a reader who left is not", function()
    local path = scratch:write("r.lua",
      "return require('orch').job { name = 'a', run = function(job) job:log 'b' end }")
    scratch:orch { "run", path }
    local function shell(line)
      return assert(proc.run { argv = { "/bin/sh", "-c", line }, split = true, timeout = 60,
        env = { ORCH = support.orch, R = path, ORCH_STATE = scratch:path("state"),
          PATH = os.getenv "PATH" } })
    end
    for _,
      command in ipairs { "runs", "show --json", "logs", "plan $R", "graph $R", "check $R", "help",
      "verbs", "version" } do
      for _, where in ipairs { "/dev/full", "&-" } do
        local result = shell(("$ORCH %s >%s"):format(command, where))
        assert.equal(9, result.code, command .. where .. result.stderr)
        assert.matches("cannot write to the standard output", result.stderr)
      end
      assert.same({ "0\n", "" },
        { shell("{ $ORCH " .. command .. "; echo $? >&3; } 3>&1 >/dev/null").stdout,
        shell("{ sleep 0.1; $ORCH " .. command .. "; } | true").stderr })
    end
  end)

  it("speaks of itself once", function()
    assert.matches("^orch run: which recipe", orch("run").err)
    assert.matches("^orch: there is no run 9", orch("show", "9").err)
  end)

  it("makes a recipe and a verb to start from, which run, and writes over nothing", function()
    local verb = scratch:path("verbs/shout.lua")
    for _, args in ipairs { { "recipe", "demo.lua" }, { "verb", "shout" } } do
      local made =
        assert(proc.run { argv = { support.orch, "new", table.unpack(args) }, cwd = scratch.dir })
      assert.equal(0, made.code, made.stdout)
      local again =
        assert(proc.run { argv = { support.orch, "new", table.unpack(args) }, cwd = scratch.dir })
      assert.equal(6, again.code, again.stdout)
    end
    local text = assert(fs.read(scratch:path("demo.lua")))
    scratch:write("demo.lua",
      (text:gsub("    return { greeting", '    assert(job:shout("loud").length == 4)\n%0')))
    local result = scratch:orch { "run", scratch:path("demo.lua"), "who=you" }
    assert.equal(0, result.code, result.all)
    assert.matches("loud\n.*hello, you from run %d", result.out)
    local told = scratch:orch { "verbs", "shout", "--recipe", scratch:path("demo.lua") }
    assert.matches("It returns { length: integer }.", told.out, 1, true)
    assert.matches("Defined in " .. verb .. ".\n", told.out, 1, true)
    for name, words in pairs { run = "is a verb of orch's own", ["end"] = "is a word of Lua's own",
      log = "is there without a verb", needs = "is there without a verb" } do
      support.check(scratch, scratch:orch { "new", "verb", name }, 6, words)
    end
    assert(fs.rename(verb, scratch:path("verbs/run.lua")))
    told = scratch:orch { "verbs", "run", "--recipe", scratch:path("demo.lua") }
    assert.matches("in place of orch's own.\n", told.out, 1, true)
  end)
end)
