local fs = require "orch.fs"
local proc = require "orch.proc"
local support = require "e2e.support"
local task = require "orch.task"

describe("a secret", function()
  local VALUE <const> = "s3cret-Value-77"
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  it("is given by name, and shows nowhere: output, events, journal, logs, plan, command lines",
    function()
    scratch:write("token", VALUE .. "\n")
    local path = scratch:write("recipe.lua", ([[
local orch = require "orch"
return orch.job { name = "j", secrets = { "SPEC_TOKEN", F = { file = %q } }, run = function(job)
  job:run 'test -z "$SPEC_TOKEN" && test -z "$F"'
  job:run { 'test "$SPEC_TOKEN" = "$F"; echo "it is $F"; printf %%s "$F" | base64', secrets = { "SPEC_TOKEN", "F" } }
  job:write { path = "f", text = "x=" .. job.secrets.F }
  job:run 'cat f'
  job:log("told %%s", job.secrets.F)
  job:run { "sleep 0.3; echo done; exit 1", secrets = { "F" }, name = "with " .. "F" }
end }]]):format(scratch:path("token")))
    local child = scratch:start({ "run", path, "--format", "json" }, { SPEC_TOKEN = VALUE })
    local seen = {}
    local watcher = task.spawn(function()
      for _ = 1, 40 do
        for _, pid in ipairs(fs.list("/proc")) do
          local line = pid:match("^%d+$") and fs.read("/proc/" .. pid .. "/cmdline")
          if line and line:find(VALUE, 1, true) then seen[#seen + 1] = line end
        end
        task.sleep(0.01)
      end
    end)
    local text = {}
    for piece in child.read, child do text[#text + 1] = piece end
    assert.equal(1, assert(child:wait()).code, table.concat(text))
    watcher:join()
    assert.same({}, seen)
    assert.is_nil(table.concat(text):find(VALUE, 1, true))
    assert.matches("it is ***", table.concat(text), 1, true)
    assert(fs.remove(scratch:path("state/runs/1/jobs"))) -- the file that the recipe itself wrote
    local found = assert(proc.run { argv = { "grep", "-rlF", VALUE, scratch:path("state") } })
    assert.equal("", found.stdout)
    local plan = scratch:orch({ "plan", path, "--json" }, { SPEC_TOKEN = VALUE })
    assert.equal(0, plan.code, plan.err)
    assert.is_nil(plan.all:find(VALUE, 1, true))
  end)

  it("is kept out of the record also when the recipe has it in the clear", function()
    local path = scratch:write("r.lua", ([[
local orch = require "orch"
return orch.pipeline {
  orch.job { name = "one", secrets = { "SPEC_TOKEN" }, run = function(job)
    local told = job:run { "echo $SPEC_TOKEN", secrets = { "SPEC_TOKEN" }, capture = true }
    job:group("title " .. os.getenv "SPEC_TOKEN", function() job:run("true " .. os.getenv "SPEC_TOKEN") end)
    job:write { path = "x", text = os.getenv "SPEC_TOKEN" }
    job:run "echo once >> %s"
    return { token = told.output:gsub("\n", ""), other = 1 }
  end },
  orch.job { name = "two", needs = { "one" }, run = function(job)
    job:run("test " .. #job.needs.one.token .. " = %d && test -e %s")
  end },
}]]):format(scratch:path("once"), #VALUE, scratch:path("go")))
    assert.equal(1, scratch:orch({ "run", path }, { SPEC_TOKEN = VALUE }).code)
    local found = assert(proc.run { argv = { "grep", "-rlF", VALUE, scratch:path("state") } })
    assert.matches("^[^\n]*/work/x\n$", found.stdout) -- which the recipe itself wrote
    scratch:write("go", "")
    local resumed = scratch:orch({ "resume" }, { SPEC_TOKEN = VALUE })
    assert.equal(0, resumed.code, resumed.all)
    assert.equal("once\n", fs.read(scratch:path("once"))) -- what holds no secret is answered
  end)

  it("may be absent when it is optional, and is an error of its own when it is not", function()
    local function run(head, body)
      return scratch:recipe(body or "", {}, { SPEC_TOKEN = false }, head)
    end
    assert.equal(0,
      run("secrets = { 'SPEC_TOKEN?' },", "assert(job.secrets.SPEC_TOKEN == nil)").code)
    local missing =
      run "secrets = { T = { command = { 'sh', '-c', 'echo no such entry >&2; exit 1' } } },"
    assert.equal(3, missing.code)
    assert.matches("needs the secret T %(T: sh: exit code 1: no such entry%)", missing.err)
    assert.equal(2, run("secrets = { T = { fiel = 'x' } },").code)
  end)

  it("that is too short to be hidden is warned of", function()
    local result = scratch:recipe("job:run 'true'", { "--format", "json" }, { SPEC_TOKEN = "abc" },
      "secrets = { 'SPEC_TOKEN' },")
    assert.equal(0, result.code, result.all)
    assert.matches('"type":"warning"', result.out, 1, true)
    assert.matches("SPEC_TOKEN is too short", result.out)
    local plain = scratch:recipe("job:run 'true'", {}, { SPEC_TOKEN = "abc" },
      "secrets = { 'SPEC_TOKEN' },")
    assert.matches("warning: the secret SPEC_TOKEN is too short", plain.out)
  end)
end)
