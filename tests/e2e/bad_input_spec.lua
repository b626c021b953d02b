local fs = require "orch.fs"
local proc = require "orch.proc"
local support = require "e2e.support"
local task = require "orch.task"

local RECIPE <const> = support.root .. "/recipes/build_push_docker_image.lua"

-- One error, with its exit code; what it must say; nothing left behind.
local function check(scratch, result, code, ...)
  assert.equal(code, result.code, result.all)
  for _, words in ipairs { ... } do
    assert.is_truthy(result.err:find(words, 1, true),
      ("%q is not in:\n%s"):format(words, result.all))
  end
  local _, errors = ("\n" .. result.err):gsub("\norch[ %l]*: ", "")
  assert.equal(1, errors, result.err)
  assert.is_nil(result.err:find("traceback", 1, true), result.err)
  assert.same({}, scratch:leftovers())
end

describe("a person's mistake", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  it("an unknown command", function()
    check(scratch, scratch:orch { "rnu" }, 2, "there is no command 'rnu'", "did you mean 'run'?")
  end)

  it("no recipe", function()
    check(scratch, scratch:orch { "run" }, 2, "which recipe?")
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

  it("a recipe that returns nothing", function()
    local path = scratch:write("empty.lua", "local x = 1\n")
    check(scratch, scratch:orch { "run", path }, 2, "must return orch.pipeline")
  end)

  it("a place for the record where none can be", function()
    local result = scratch:recipe("", {}, { ORCH_STATE = "/proc/nowhere" })
    assert.is_true(result.code == 9 or result.code == 5, result.all)
    check(scratch, result, result.code, "/proc/nowhere", "ORCH_STATE=DIR")
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

  local function spin(body, interrupts)
    local path = scratch:write("spin.lua", ([[
local orch = require "orch"
return orch.job { name = "j", run = function(job)
  job:log("spinning")
  %s
end }
]]):format(body))
    local child = scratch:start { "run", path }
    local text = ""
    while not text:find("spinning", 1, true) do text = text .. assert(child:read(), text) end
    for _ = 1, interrupts do
      task.sleep(0.1)
      child:signal(2)
    end
    for piece in child.read, child do text = text .. piece end
    assert.equal(130, assert(child:wait()).code, text)
    return text
  end

  it("Ctrl-C ends a body that computes for ever", function()
    assert.matches("cancelled by Ctrl%-C.*spin%.lua:4", spin("while true do end", 1))
  end)

  it("the second Ctrl-C ends a body that will not hear of it", function()
    spin("while true do pcall(function() while true do end end) end", 2)
  end)

  it("the second Ctrl-C ends a step that will not hear of it, and at once", function()
    local marker = "7" .. scratch.dir:gsub("%D", ""):sub(1, 6) .. "2"
    scratch:write("deaf.lua", ([[
local orch = require "orch"
return orch.job { name = "j", run = function(job)
  job:run "trap '' INT TERM HUP; (setsid sleep %s &) ; touch %s; sleep %s" end }
]]):format(marker, scratch:path("started"), marker))
    local environment = fs.environment()
    environment.ORCH_STATE, environment.ORCH = scratch:path("state"), support.orch
    -- The shell goes on, so that its own shim ends nothing.
    local shell =
      assert(proc.start { env = environment, cwd = scratch.dir, argv = { "/bin/sh", "-c",
      "$ORCH run deaf.lua > out & until [ -e started ] || ! kill -0 $!; do sleep 0.02; done\n"
      .. "kill -INT $!; sleep 0.2; kill -INT $!; wait $!; echo ended with $?; sleep 1000" } })
    assert.equal("ended with 130\n", shell:read())
    local left
    for _ = 1, 40 do
      left = assert(proc.run { argv = { "pgrep", "-fx", "sleep " .. marker } })
      if left.code == 1 then break end
      task.sleep(0.05)
    end
    assert.equal(1, left.code, left.stdout)
    shell:cancel()
    shell:wait()
  end)

  it("Ctrl-C ends the tree of a step", function()
    local marker = "7" .. scratch.dir:gsub("%D", ""):sub(1, 6) .. "1"
    local path = scratch:write("long.lua", ([[
local orch = require "orch"
return orch.job { name = "j", run = function(job) job:run "echo started; (setsid sleep %s &) ; sleep %s" end }
]]):format(marker, marker))
    local child = scratch:start { "run", path }
    local text = ""
    while not text:find("\n   started", 1, true) do text = text .. assert(child:read()) end
    child:signal(2)
    for piece in child.read, child do text = text .. piece end
    local result = assert(child:wait())
    assert.equal(130, result.code, text)
    assert.is_truthy(text:find("orch: cancelled by Ctrl-C", 1, true), text)
    task.sleep(0.05)
    local left = assert(proc.run { argv = { "pgrep", "-fx", "sleep " .. marker } })
    assert.equal(1, left.code, left.stdout)
    assert.same({}, scratch:leftovers())
  end)
end)

describe("the services' refusals", function()
  if not support.services() then
    it("come as one clear error", function() pending("no services: run tests/run.sh") end)
    return
  end

  local scratch, project
  before_each(function()
    scratch = support.scratch()
    project =
      scratch:project { Dockerfile = "FROM busybox:1.36\nRUN echo about to fail && exit 3\n" }
  end)
  after_each(function() scratch:remove() end)

  local function main_job(env, ...)
    return scratch:orch({ "run", RECIPE, "--project", project,
      "repository=bad-input-" .. scratch.dir:match("[^-]+$"):lower(), ... }, env)
  end

  it("a wrong AWS secret", function()
    check(scratch, main_job { AWS_SECRET_ACCESS_KEY = "wrong-wrong-wrong" }, 3,
      "InvalidSignatureException",
      "AWS_SECRET_ACCESS_KEY", "create_ecr_repo")
  end)

  it("an unknown AWS key", function()
    check(scratch, main_job { AWS_ACCESS_KEY_ID = "AKIANOBODY0000000000" }, 3,
      "UnrecognizedClientException",
      "AWS_ACCESS_KEY_ID")
  end)

  it("a key without the permission", function()
    check(scratch, main_job { AWS_ACCESS_KEY_ID = os.getenv("ORCH_TEST_DENIED_ACCESS_KEY_ID"),
      AWS_SECRET_ACCESS_KEY = os.getenv("ORCH_TEST_DENIED_SECRET_ACCESS_KEY") }, 3, "AccessDenied",
      "sts:GetServiceBearerToken")
  end)

  it("a Dockerfile that fails", function()
    local result = main_job()
    check(scratch, result, 1, "Build Docker image", "exit code: 3", "build_push_docker_image.lua:")
    assert.is_truthy(result.out:find("about to fail", 1, true), result.out)
  end)

  it("a missing Dockerfile, before anything is sent", function()
    check(scratch, scratch:recipe("job:docker_build { tags = { 'x:1' } }"), 5, "Dockerfile",
      "recipe.lua:4")
  end)

  it("a registry that says 401", function()
    local image = os.getenv("ORCH_TEST_REGISTRY") .. "/alias/x:1"
    local result = scratch:recipe(([[
    job:write { path = "Dockerfile", text = "FROM busybox:1.36\n" }
    job:docker_build { tags = { %q } }
    job:docker_push { tags = { %q } }]]):format(image, image))
    check(scratch, result, 3, "docker push", image, "recipe.lua:6")
  end)

  it("a tag that was never built", function()
    local image = os.getenv("ORCH_TEST_REGISTRY") .. "/alias/never:1"
    check(scratch, scratch:recipe(("job:docker_push { tags = { %q } }"):format(image)), 5, image)
  end)

  it("Ctrl-C in mid-build", function()
    local path = scratch:write("slow.lua", [[
local orch = require "orch"
return orch.job { name = "j", run = function(job)
  job:write { path = "Dockerfile", text = "FROM busybox:1.36\nRUN echo building; sleep 60; echo ]] .. scratch.dir .. [[\n" }
  job:docker_build { tags = { "spec-slow:1" } }
end }
]])
    local child = scratch:start { "run", path }
    local text = ""
    while not text:find("\n     building", 1, true) do text = text .. assert(child:read(), text) end
    child:signal(2)
    for piece in child.read, child do text = text .. piece end
    local result = assert(child:wait())
    assert.equal(130, result.code, text)
    assert.is_true(result.seconds < 30)
    assert.same({}, scratch:leftovers())
  end)
end)
