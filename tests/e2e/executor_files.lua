-- What every executor must do with files, as cases for executor_suite: title to function(suite).
local assert = require "luassert"
local fs = require "orch.fs"
local proc = require "orch.proc"
local support = require "e2e.support"

local cases = {}

cases["reads and writes files"] = function(suite)
  suite:good [[
    local files = job.fs
    local function kind(_, failure) return failure.kind end
    assert(files.make_dir("a/b/c") and files.make_dir("a/b/c"))
    local bytes = ("\0\1\255text\n"):rep(200000)
    assert(files.write("a/b/file", bytes) and files.read("a/b/file") == bytes)
    assert(files.write("a/b/file", "new") and files.read(job.dir .. "/a/b/file") == "new")
    assert(files.append("a/b/file", " and more") and files.append("a/b/other", "other"))
    assert(files.read("a/b/file") == "new and more")
    assert(files.write("empty", "") and files.read("empty") == "")
    assert(files.write("mode", "x", { mode = 493 }) and files.stat("mode").mode == 493)
    local stat = files.stat("a/b/file")
    assert(stat.type == "file" and stat.size == 12 and stat.mtime > 1e9 and math.type(stat.uid) == "integer")
    assert(files.stat("a").type == "directory")
    job:run "ln -s nowhere a/link"
    assert(files.stat("a/link").type == "link")
    assert(table.concat(files.list("a/b"), " ") == "c file other")
    assert(kind(files.read("absent")) == "missing" and kind(files.stat("absent")) == "missing")
    assert(kind(files.list("absent")) == "missing" and kind(files.read("a/b/file", 5)) == "limit")
    assert(kind(files.make_dir("a/b/file")) == "conflict")
    assert(kind(files.write("absent/file", "x")) == "missing")
    assert(files.remove("a") and files.remove("a") and not files.stat("a"))
    -- what is written belongs to who runs the steps
    files.write("mine", "x")
    job:run "test -O mine && test -w . && echo more >> mine"
    orch.all {
      one = function() for i = 1, 20 do assert(files.write("one" .. i, tostring(i)) and files.read("one" .. i) == tostring(i)) end end,
      two = function() for i = 1, 20 do assert(files.write("two" .. i, tostring(i)) and files.read("two" .. i) == tostring(i)) end end,
    }
    -- a wait that is given up leaves the next one right
    pcall(orch.timeout, 0.001, function() for _ = 1, 1000 do files.read("mine") end end)
    assert(files.read("mine") == "xmore\n")
  ]]
end

cases["hands files from job to job, checks out, gives a build its context"] = function(suite)
  local scratch = suite.scratch
  local project = scratch:project { ["Dockerfile"] = "FROM busybox:1.36\nCOPY app /app\n",
    ["app/hello"] = "hello\n" }
  scratch:write("recipe.lua", ([[
local orch = require "orch"
local executor = %s
return orch.pipeline {
  orch.job { name = "first", executor = executor, run = function(job)
    job:write { path = job.tmp .. "/out/deep/file", text = "of first" }
    job:run "echo '#!/bin/sh' > $TMPDIR/out/tool; chmod 755 $TMPDIR/out/tool; ln -s tool $TMPDIR/out/link"
    job:persist_to_workspace { root = job.tmp .. "/out", paths = { "*" } }
    job:store_artifacts { job.tmp .. "/out", destination = "kept" }
  end },
  orch.job { name = "second", needs = { "first" }, executor = executor, run = function(job)
    job:attach_workspace { at = job.tmp .. "/in" }
    job:run "cd $TMPDIR/in; test -O deep/file; test -x tool; test -L link; ./link; echo more >> deep/file"
    assert(job:read(job.tmp .. "/in/deep/file") == "of firstmore\n")
    job:checkout()
    job:run "test -O app/hello; test -O .git/HEAD; test ! -e .git/objects/info/alternates || test -e $(cat .git/objects/info/alternates)"
    job:run "echo local > app/hello; echo untracked > left"
    job:checkout()
    assert(job:read "app/hello" == "hello\n" and job:read "left" == "untracked\n")
    job:write { path = "app/made", text = "in the job" }
    if os.getenv("ORCH_TEST_DIR") then
      job:docker_build { tags = { os.getenv("SPEC_TAG") } }
      job:docker_build { output = "built" }
      assert(job:read "built/app/hello" == "hello\n")
      job:run "test -O built/app/hello"
      job:write { path = "secret", text = "of-the-job" }
      job:docker_build { tags = { os.getenv("SPEC_TAG") }, secrets = { s = { file = "secret" } }, dockerfile = [=[
FROM busybox:1.36
COPY app /app
RUN --mount=type=secret,id=s test "$(cat /run/secrets/s)" = of-the-job
]=] }
      job:docker_build { output = "built.tar" }
      job:run "test -O built.tar; busybox tar -tf built.tar | grep app/made"
      job:image_save { images = os.getenv("SPEC_TAG"), file = job.tmp .. "/saved.tar" }
      job:run "test -O $TMPDIR/saved.tar"
      assert(job:image_load(job.tmp .. "/saved.tar")[1]:find(os.getenv("SPEC_TAG"), 1, true))
    end
  end },
}
]]):format(suite.executor))
  local tag = "executor-spec-" .. suite.mark:lower()
  local result = scratch:orch({ "run", scratch:path("recipe.lua"), "--project", project },
    { SPEC_TAG = tag })
  assert.equal(0, result.code, result.all)
  assert.same({}, scratch:leftovers(true))
  local kept = scratch:path("state/runs/1/artifacts/first/kept/")
  assert.equal("of first", fs.read(kept .. "deep/file"))
  assert.equal(493, fs.stat(kept .. "tool").mode)
  if support.services() then
    local environment = fs.environment()
    for name, value in pairs(scratch.env) do environment[name] = value end
    local function docker(...)
      return assert(proc.run { argv = { "docker", ... }, env = environment }).stdout
    end
    assert.equal("hello\nmade\n", docker("run", "--rm", tag, "ls", "/app"))
    docker("rmi", tag)
  end
end

return cases
