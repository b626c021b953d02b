local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"

describe("the log of a run", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  local function orch(...) return scratch:orch { ... } end

  it("shows what its steps printed, by job, step and title", function()
    scratch:recipe [[job:run { name = "one", "echo alpha" } job:run { name = "two", "printf '\\xff\\000beta'" }
job:run { name = "three", background = true, "echo gamma", ready = { log = "gamma" } }]]
    assert.equal("-- job / one\nalpha\n", orch("logs", "1", "job/one").out)
    assert.equal("-- job / one\nalpha\n", orch("logs", "1", "job/run#1").out)
    assert.matches("gamma", orch("logs", "1", "job/three").out)
    local lines = {}
    for line in orch("logs", "--json").out:gmatch("[^\n]+") do
      lines[#lines + 1] = json.decode(line)
    end
    assert.same({ "one", "two", "three" }, { lines[1].title, lines[2].title, lines[3].title })
    assert.equal("alpha\n", lines[1].text)
    assert.equal(5, orch("logs", "1", "job/four").code)
    assert.equal(5, orch("logs", "9").code)
    assert.equal(2, orch("logs", "x").code)
  end)

  it("shows what the recipe itself prints: masked, in order, in the logs, and never on the plan's stdout", function()
    local path =
      scratch:job([[print("begun", job.secrets.TOKEN, nil) io.write("a ", os.getenv "TOKEN", " ")
job:run { name = "one", "echo in one" }
io.stdout:write("b", 7, "\n"):flush() io.stderr:write "no newline"
job:group("g", function() print "in a group" job:run { name = "two", "true" } print "behind" end)
orch.all { l = function() print "left" end }
assert(not pcall(io.write, {}))
assert(not pcall(function() io.read() end))]], [[environment = print "loading" or {}, secrets = { "TOKEN" },]])
    local result = scratch:orch({ "run", path }, { TOKEN = "s3cret-word" })
    assert.equal(0, result.code, result.all)
    local lines = {}
    for line in result.out:gmatch("[^\n]+") do
      lines[#lines + 1] = line:match("^   (.*)$") or line:match("^%-%- (%w+)")
    end
    assert.same({ "loading", "begun\t***\tnil", "a *** ", "one", "in one", "b7", "no newline", "g",
      "in a group", "behind", "left" },
      table.move(lines, 1, 11, 1, {}))
    assert.equal("-- run\nloading\n-- job\nbegun\t***\tnil\na *** \nb7\nno newline\nleft\n-- job / one\nin one\n"
      .. "-- job / g\nin a group\nbehind\n", orch("logs", "1").out)
    for line in scratch:orch({ "run", path, "--format", "json" },
      { TOKEN = "s3cret-word" }).out:gmatch("[^\n]+") do
      assert.is_table(json.decode(line), line)
    end
    local planned = orch("plan", path, "--json")
    assert.is_table(json.decode(planned.out), planned.all)
    assert.matches("loading", planned.err)
    local found =
      assert(proc.run { argv = { "grep", "-rlF", "s3cret-word", scratch:path("state") } })
    assert.equal("", found.stdout)
  end)
end)
