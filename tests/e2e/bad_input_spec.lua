local fs = require "orch.fs"
local proc = require "orch.proc"
local support = require "e2e.support"

local check <const> = support.check

describe("a person's mistake", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  it("an unknown command", function()
    check(scratch, scratch:orch { "rnu" }, 2, "there is no command 'rnu'", "did you mean 'run'?")
  end)

  it("no recipe", function()
    check(scratch, scratch:orch { "run" }, 2, "which recipe?", "try: ")
    check(scratch, scratch:orch { "run", scratch:path("none.lua") }, 5, "there is no recipe",
      "none.lua", "orch new recipe")
    scratch:write("release.lua", "return 1")
    check(scratch, scratch:orch { "run", scratch:path("relaese.lua") }, 5,
      "did you mean " .. scratch:path("release.lua"))
    check(scratch, scratch:orch { "run", scratch:path("other") }, 5, "release.lua")
    check(scratch, scratch:orch { "run", scratch.dir }, 2, "is a directory, not a recipe")
  end)

  it("a recipe with a syntax error", function()
    local path = scratch:write("broken.lua",
      "local orch = require 'orch'\nreturn orch.pipeline {\n  x y\n}\n")
    check(scratch, scratch:orch { "run", path }, 2, "broken.lua:3:")
  end)

  it("a comma or an end that is missing, and files that are no recipes", function()
    for text, words in pairs {
      ["return {\n  a = 1 -- one\n\n  b = 2,\n}\n"] = "is a ',' missing at the end of line 2?",
      ["return { f = function()\n  if true then g()\n}\n"] = "is an 'end' missing",
      ["return { f = function() if true then g() end }\n"] = "is an 'end' missing",
    } do
      check(scratch, scratch:orch { "check", scratch:write("r.lua", text) }, 2, "r.lua:", words)
    end
    check(scratch, scratch:orch { "run", scratch:write("c.yml", "# CI\nversion: 2.1\n") }, 2,
      "this looks like YAML", "orch new recipe")
    check(scratch, scratch:orch { "plan", scratch:write("Dockerfile", "FROM x\n") }, 2,
      "a recipe is a Lua file")
  end)

  it("a local that is not known yet, in a plan too, which is no good one then", function()
    local body = "job:run('echo ' .. tag) local tag = 'x'"
    check(scratch, scratch:recipe(body), 2, "there is no global 'tag'\n", "recipe.lua:4",
      "try: a local is known from its own line on")
    local result = scratch:orch { "plan", scratch:job(body) }
    assert.equal(2, result.code, result.all)
    assert.matches("\n  … there is no global 'tag' (", result.out, 1, true)
    assert.equal(0, scratch:orch({ "plan", scratch:job "if job:now() then end" }).code)
  end)

  it("in a body, what only a verb may call", function()
    for name, call in pairs { print = "print 'x'", artifact = "artifact { kind = 'k', name = 'n' }",
      progress = "progress { label = 'l', current = 1 }" } do
      check(scratch, scratch:recipe("job:" .. call), 2, "job:" .. name .. " is for verbs",
        "recipe.lua:4")
    end
  end)

  it("what a job's tables do not have, told of in a check as in a run", function()
    for body, words in pairs { ["job:run(job.secrets.T)"] = 'try: declare it in the head',
      ["job:run(job.needs.b.x)"] = "try: only jobs that this one needs" } do
      assert.matches(words, scratch:recipe(body).err, 1, true)
      assert.matches(words, scratch:orch({ "check", scratch:job(body) }).out, 1, true)
    end
  end)

  it("an absolute path that is not there, which no checkout would bring", function()
    local result = scratch:recipe "job:read '/no/such/file'"
    check(scratch, result, 5, "/no/such/file", "recipe.lua:4")
    assert.is_nil(result.err:find("try:", 1, true), result.err)
  end)

  it("a recipe that returns nothing", function()
    local path = scratch:write("empty.lua", "local x = 1\n")
    check(scratch, scratch:orch { "run", path }, 2, "must return orch.pipeline")
  end)

  it("a place for the record where none can be", function()
    local result = scratch:recipe("", {}, { ORCH_STATE = "/proc/nowhere" })
    assert.is_true(result.code == 9 or result.code == 5, result.all)
    check(scratch, result, result.code, "/proc/nowhere", "ORCH_STATE=DIR")
    local none = { ORCH_STATE = false, XDG_STATE_HOME = "relative", HOME = "" }
    check(scratch, scratch:recipe("", {}, none), 5, "HOME is not set", "ORCH_STATE=DIR")
  end)

  it("an unknown option", function()
    check(scratch, scratch:recipe("job:docker_build { tag = 'x' }"), 2,
      "docker_build: unknown option 'tag'",
      "did you mean 'tags'?", "recipe.lua:4", "job job")
  end)

  it("several values where a verb takes one", function()
    check(scratch, scratch:recipe("job:run('make', 'test')"), 2,
      "run takes one value or one table, got 2 values",
      "recipe.lua:4", "write job:run {")
  end)

  it("a secret that a later job needs", function()
    local path = scratch:write("late.lua", [[local orch = require "orch"
return orch.pipeline {
  orch.job { name = "build", run = function(job) job:run "echo the build" end },
  orch.job { name = "deploy", needs = { "build" }, secrets = { "NO_SUCH_TOKEN", "OTHER?" }, run = function() end },
  orch.job { name = "maybe", needs = { "build" }, secrets = { "NO_SUCH_TOKEN" }, when = function() return false end,
    run = function() end } }]])
    local result = scratch:orch { "run", path }
    check(scratch, result, 3, "job 'deploy' needs the secret NO_SUCH_TOKEN")
    local warned, built = result.out:find("job 'deploy' will fail: it needs NO_SUCH_TOKEN", 1,
      true), result.out:find("the build", 1, true)
    assert.is_true(warned < built, result.all)
    assert.is_nil(result.out:find("job 'maybe' will fail", 1, true))
  end)

  it("what a recipe must require or is given", function()
    local path = scratch:write("bare.lua", "return orch.job { name = 'x', run = print }")
    check(scratch, scratch:orch { "run", path }, 2, "bare.lua:1", 'local orch = require "orch"')
    path = scratch:write("early.lua",
      "local orch = require 'orch'\nreturn orch.job { name = 'x', run = job:run 'make' }")
    check(scratch, scratch:orch { "run", path }, 2, "early.lua:2", "run = function(job)")
  end)

  it("an executor that is none", function()
    for text,
      words in pairs { ['"node:20"'] = 'orch.docker { image = "node:20" }',
      ['{ image = "x" }'] = "orch.docker { image = … }" } do
      check(scratch, scratch:recipe("", {}, {}, "executor = " .. text .. ","), 2, words,
        "recipe.lua:3")
    end
  end)

  it("a matrix of values without a name", function()
    local path = scratch:write("matrix.lua", [[local orch = require "orch"
return orch.job { name = "x", matrix = { "a", "b" }, run = function() end }]])
    check(scratch, scratch:orch { "run", path }, 2, "a list of values needs a name", "matrix.lua:2")
  end)

  it("no checkout", function()
    check(scratch, scratch:recipe("job:run 'make test'"), 1, "exit code 2",
      "the job's directory is empty: job:checkout()")
    check(scratch, scratch:recipe("job:read 'VERSION'"), 5, "VERSION",
      "the job's directory is empty")
    check(scratch, scratch:recipe("job:persist_to_workspace { root = 'dist', paths = { '*' } }"), 5,
      "dist",
      "the job's directory is empty")
    local other = scratch:recipe("job:run 'exit 3'")
    assert.is_nil(other.err:find("empty", 1, true), other.err)
  end)

  it("a path that is not quite right", function()
    local there = "job:write { path = 'dist/app.txt', text = 'x' } "
    check(scratch, scratch:recipe(there .. "job:read 'dist/ap.txt'"), 5,
      "did you mean 'dist/app.txt'?")
    check(scratch, scratch:recipe(there .. "job:read 'build/x/y'"), 5,
      "in the job's directory there is dist")
    check(scratch, scratch:recipe(there .. "job:read 'dist/zebra'"), 5, "in dist there is app.txt")
    check(scratch, scratch:recipe(there .. "job:run { 'ls', working_directory = 'dits' }"), 5,
      "did you mean 'dist'?")
    check(scratch, scratch:recipe(there .. "job:run { 'nosuchprogram', '1' }"), 5, "nosuchprogram")
  end)

  it("an unknown verb", function()
    check(scratch, scratch:recipe("job:docker_bild { tags = {} }"), 2,
      "there is no verb 'docker_bild'",
      "did you mean 'docker_build'?", "recipe.lua:4", scratch:path("verbs/docker_bild.lua"))
  end)

  it("an unknown parameter", function()
    check(scratch, scratch:recipe("", { "repo=x" }), 2,
      "unknown parameter 'repo'; the recipe declares none")
  end)

  it("a parameter of the wrong type", function()
    local path = scratch:write("typed.lua", [[
local orch = require "orch"
return orch.pipeline { params = { count = "integer" }, orch.job { name = "j", run = function() end } }
]])
    check(scratch, scratch:orch { "run", path, "count=many" }, 2,
      "'count' must be a whole number, got 'many'")
    check(scratch, scratch:orch { "run", path }, 2,
      "the recipe needs the parameter 'count' (integer)", "count=VALUE")
  end)

  it("a declaration that contradicts itself names its line, though the call is the recipe's last",
    function()
    local function declared(text)
      return scratch:orch { "run",
        scratch:write("declared.lua", "local orch = require 'orch'\n\nreturn " .. text .. "\n") }
    end
    check(scratch,
      declared "orch.pipeline { params = { v = { 'string', default = 'x', pattern = '%d' } },\n}",
      2,
      "the default of 'v'", "declared.lua:3")
    check(scratch, declared "orch.job {\n nmae = 'x' }", 2, "did you mean 'name'?",
      "declared.lua:3")
    check(scratch,
      declared "orch.pipeline { orch.job { name = 'a', needs = { 'b' }, run = print } }", 2,
      "which is no job", "declared.lua:3")
    check(scratch,
      declared "orch.pipeline {\n orch.job { name = 'a', run = print,\n executor = orch.docker { imag = 'x' } } }",
      2, "did you mean 'image'?", "declared.lua:5")
  end)

  it("an unknown job", function()
    check(scratch, scratch:recipe("", { "--job", "jbo" }), 2, "there is no job 'jbo'",
      "did you mean 'job'?")
  end)

  it("a missing secret", function()
    local result = scratch:recipe("", {}, { SPEC_TOKEN = false }, "secrets = { 'SPEC_TOKEN' },")
    check(scratch, result, 3, "needs the secret SPEC_TOKEN", "recipe.lua:3")
  end)

  it("a Lua error in a body names its line", function()
    check(scratch, scratch:recipe("local x = nil\nreturn x.y"), 2, "recipe.lua:5")
  end)

  it("a wrong use of a function of Lua's names the recipe's line, not the engine's", function()
    local result = scratch:recipe("print(('%d'):rep(2))\njob:log(string.format('%d', 'x'))")
    check(scratch, result, 2, "bad argument #2 to 'format'", "recipe.lua:5")
    assert.is_nil(result.all:find("lua/orch", 1, true), result.all)
  end)

  it("an error that has no words", function()
    check(scratch, scratch:recipe "error { code = 3 }", 2, 'orch.fail("…") takes words',
      "recipe.lua:4")
    check(scratch, scratch:recipe "error { message = 'no way' }", 2, "orch: no way\n  at: ")
  end)

  it("a step that fails", function()
    check(scratch, scratch:recipe("job:run 'echo before; exit 7'"), 1, "exit code 7",
      "recipe.lua:4")
  end)

  it("no git repository", function()
    check(scratch, scratch:recipe("job:checkout()", { "--project", scratch:path("tmp") }), 5,
      "is in no git repository", "--project")
  end)

  it("a ref that does not exist", function()
    local project = scratch:project { f = "f" }
    check(scratch, scratch:recipe("job:checkout { ref = 'mian' }", { "--project", project }), 5,
      "mian", "main",
      "recipe.lua:4")
  end)

  it("a layer with ../", function()
    local evil = scratch:path("evil.tar")
    local made = assert(proc.run { argv = { "python3", "-c", [[
import io, sys, tarfile
t = tarfile.open(sys.argv[1], "w")
i = tarfile.TarInfo("../outside"); i.size = 3
t.addfile(i, io.BytesIO(b"bad")); t.close()]], evil } })
    assert.equal(0, made.code, made.stdout)
    local result =
      scratch:recipe(("job.fs.make_dir('in')\nassert(job.fs.unpack { file = %q, into = 'in' })"):format(evil))
    assert.not_equal(0, result.code)
    assert.is_truthy(result.err:find("../outside", 1, true), result.all)
    assert.is_nil(fs.stat(scratch:path("outside")))
    assert.same({}, scratch:leftovers())
  end)

  it("no docker socket", function()
    local result = scratch:recipe("job:setup_remote_docker()", {},
      { DOCKER_HOST = "unix://" .. scratch:path("none.sock") })
    check(scratch, result, 5, "none.sock", "recipe.lua:4")
  end)
end)
