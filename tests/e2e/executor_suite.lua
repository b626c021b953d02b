-- What every executor must do, whatever it is: the same recipes, run by the real program.
local assert = require "luassert"
local executor_files = require "e2e.executor_files"
local proc = require "orch.proc"
local processes = require "e2e.processes"
local support = require "e2e.support"

local marked, wait_until = processes.marked, processes.wait_until

local Suite = {}
Suite.__index = Suite

--- A recipe of one job on the executor, run.
function Suite:recipe(body, args, env, head)
  return self.scratch:recipe(body, args, env,
    ("executor = %s, %s"):format(self.executor, head or ""))
end

--- The same; every check in the body must hold.
function Suite:good(body, args, env, head)
  local result = self:recipe(body, args, env, head)
  assert.equal(0, result.code, result.all)
  return result
end

local cases = {}

cases["runs programs: codes, signals, environment, directories, input"] = function(suite)
  suite:good([[
    local function code(command) return job:run { command, check = false } end
    assert(code("exit 0").code == 0 and code("exit 3").code == 3)
    assert(code("kill -9 $$").signal == 9)
    local function text(spec)
      if type(spec) == "string" then spec = { command = spec } end
      spec.capture = true
      return job:run(spec).output
    end
    assert(text "echo $ORCH $CI $HEAD" == "true true of-the-job\n")
    assert(text { "echo $HEAD", environment = { HEAD = "of-the-step" } } == "of-the-step\n")
    assert(text { "printf", "%s|", "a b", "$HOME", "" } == "a b|$HOME||")
    assert(text "pwd" == job.dir .. "\n" and text "echo $PWD" == job.dir .. "\n")
    job:run "mkdir -p sub/dir"
    assert(text { "pwd", working_directory = "sub/dir" } == job.dir .. "/sub/dir\n")
    assert(text "touch $TMPDIR/x; echo $TMPDIR" == job.tmp .. "\n")
    local long = ("x"):rep(3000000)
    local counted = assert(job.proc.run { argv = { "wc", "-c" }, input = long })
    assert(tonumber(counted.stdout) == #long)
    assert(assert(job.proc.run { argv = { "cat" } }).stdout == "")
    local apart = assert(job.proc.run { argv = { "/bin/sh", "-c", "echo out; echo err >&2" }, split = true })
    assert(apart.stdout == "out\n" and apart.stderr == "err\n")
    local _, failure = job.proc.start { argv = { "no-such-program" } }
    assert(failure.kind == "missing" and failure.message:find("no program 'no-such-program' in PATH", 1, true))
    _, failure = job.proc.run { argv = { "true" }, cwd = "no/such" }
    assert(failure.kind == "missing" and failure.message:find("cannot run true in directory", 1, true))
    job:run "printf '#!/bin/nowhere\\n' > bad; chmod +x bad"
    _, failure = job.proc.run { argv = { "./bad" } }
    assert(failure.kind == "missing" and failure.message:find("interpreter", 1, true), failure.message)
    assert(job.proc.has("/bin/sh") and not job.proc.has("/bin/nowhere"))
  ]], nil, nil, 'environment = { HEAD = "of-the-job" },')
end

cases["keeps the order of output, and all of it"] = function(suite)
  local result = suite:good [[
    local shown = job:run { "for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo err $i >&2; done", capture = true }.output
    local expected = ""
    for i = 1, 9 do expected = expected .. ("out %d\nerr %d\n"):format(i, i) end
    assert(shown == expected)
    local child = assert(job.proc.start { argv = { "/bin/sh", "-c",
      "i=0; while [ $i -lt 64 ]; do head -c 131072 /dev/zero | tr '\\0' x; i=$((i+1)); done; echo; echo end" } })
    local sum, last = 0, ""
    for piece in child.read, child do
      if sum == 0 then job:sleep(2.5) end -- longer than a daemon waits for who reads a program that has ended
      sum, last = sum + #piece, (last .. piece):sub(-5)
    end
    assert(child:wait().code == 0)
    assert(sum == 64 * 131072 + 5 and last == "\nend\n", sum)
    local _, failure = job.proc.run { argv = { "/bin/sh", "-c", "while :; do echo x; done" }, output_max = 100000 }
    assert(failure.kind == "limit")
  ]]
  assert.matches("out 9\n   err 9", result.out, 1, true)
end

-- Away from the tree in every way there is; "ready" once all are there.
local ESCAPE <const> = [[
  (setsid sh -c 'echo > $TMPDIR/e1; exec sleep 1000' &);
  (sh -c '(echo > $TMPDIR/e2; exec sleep 1000) &' &);
  (setsid sh -c 'trap \"\" TERM HUP INT; echo > $TMPDIR/e3; while :; do sleep 0.2; done' &);
  while [ ! -e $TMPDIR/e1 ] || [ ! -e $TMPDIR/e2 ] || [ ! -e $TMPDIR/e3 ]; do sleep 0.05; done; echo ready; ]]

cases["ends the whole tree when the time is over, too quiet, or left behind"] = function(suite)
  suite:good(([[
    local escape = "%s"
    local function try(f)
      local good, failure = pcall(f)
      assert(not good)
      return failure
    end
    local mark = { MARKED = os.getenv("SPEC_MARK") }
    local failure = try(function()
      job:run { escape .. "sleep 1000", environment = mark, no_output_timeout = 1.5 }
    end)
    assert(failure.kind == "timeout" and failure.message:find("too long with no output", 1, true), failure.message)
    job:run "rm -f $TMPDIR/e?"
    failure = try(function() job:run { escape .. "while :; do echo; sleep 0.1; done", environment = mark, timeout = 1.5 } end)
    assert(failure.kind == "timeout", failure.message)
    job:run "rm -f $TMPDIR/e?"
    assert(job:run { escape .. "exit 7", environment = mark, check = false }.code == 7)
    local child = assert(job.proc.start { argv = { "/bin/sh", "-c",
      "trap 'sleep 0.1; echo cleaned > $TMPDIR/cleaned; exit' TERM; echo ready; while :; do sleep 0.05; done" } })
    assert(child:read() == "ready\n")
    child:cancel()
    local result, cancelled = child:wait()
    assert(not result and cancelled.kind == "cancelled")
    assert(job:read(job.tmp .. "/cleaned") == "cleaned\n")
    child = assert(job.proc.start { argv = { "/bin/sh", "-c", "trap 'echo usr1; exit 4' USR1; echo ready; while :; do sleep 0.05; done" } })
    child:read()
    child:signal(10)
    local said = ""
    for piece in child.read, child do said = said .. piece end
    assert(said:find("usr1\n", 1, true) and child:wait().code == 4, said)
  ]]):format((ESCAPE:gsub("\n", " "))), nil, { SPEC_MARK = suite.mark })
  assert.same({}, marked("MARKED=" .. suite.mark))
end

cases["runs things in the background, ready before the next step, gone after the job"] =
  function(suite)
  suite:good([[
    job:write { path = "www/index.html", text = "hello" }
    job:run { "exec sleep 1000", background = true, environment = { MARKED = os.getenv("SPEC_MARK") } }
    local port = 18000 + math.tointeger(job:random { low = 1, high = 2000 })
    job:run { "exec busybox httpd -f -p 127.0.0.1:" .. port .. " -h www", background = true,
      environment = { MARKED = os.getenv("SPEC_MARK") },
      ready = { http = "http://127.0.0.1:" .. port .. "/", timeout = 10 } }
    job:run { "echo listening; sleep 1000", background = true, ready = { log = "listening" } }
    job:run { "true", background = true, check = false }
    assert(job.proc.probe("127.0.0.1", port, 2))
    local _, failure = job.proc.probe("127.0.0.1", 1, 2)
    assert(failure.kind == "net", failure.message)
  ]], nil, { SPEC_MARK = suite.mark })
  assert.same({}, marked("MARKED=" .. suite.mark))
end

cases["leaves no process behind after Ctrl-C, and is resumed"] = function(suite)
  local scratch = suite.scratch
  scratch:write("recipe.lua", ([[
local orch = require "orch"
return orch.job { name = "job", executor = %s, run = function(job)
  job:write { path = "kept", text = "kept" }
  job:run { "test -e $TMPDIR/again && exit; touch $TMPDIR/again; %s sleep 1000", name = "long",
    environment = { MARKED = os.getenv("SPEC_MARK") } }
  assert(job:read "kept" == "kept")
end }
]]):format(suite.executor, (ESCAPE:gsub("\n", " "))))
  local env = { SPEC_MARK = suite.mark }
  local child = scratch:start({ "run", scratch:path("recipe.lua") }, env)
  local text = ""
  while not text:find("   ready", 1, true) do
    text = text .. (child:read() or error("it has ended: " .. text))
  end
  assert.is_true(#marked("MARKED=" .. suite.mark) >= 4)
  assert(proc.run { argv = { "kill", "-INT", scratch:pid_of(child) } })
  for piece in child.read, child do text = text .. piece end
  assert.equal(130, assert(child:wait()).code, text)
  assert.matches("ending what runs.*cancelled after", text) -- the step has ended when its tree has
  assert.is_nil(text:find("cancelled in %d+ min"), text)
  assert.same({}, marked("MARKED=" .. suite.mark))
  local resumed = scratch:orch({ "resume", "1" }, env)
  assert.equal(0, resumed.code, resumed.all)
  assert.matches("(done before)", resumed.out, 1, true)
end

cases["goes on after orch was killed"] = function(suite)
  local scratch = suite.scratch
  scratch:write("recipe.lua", ([[
local orch = require "orch"
return orch.job { name = "job", executor = %s, run = function(job)
  job:run { "echo once >> effects", name = "first" }
  job:run { "echo twice >> effects; test -e $TMPDIR/again || { touch $TMPDIR/again; echo begun; sleep 1000; }",
    name = "second", environment = { MARKED = os.getenv("SPEC_MARK") } }
  assert(job:read "effects" == "once\ntwice\ntwice\n")
end }
]]):format(suite.executor))
  local env = { SPEC_MARK = suite.mark }
  local child = scratch:start({ "run", scratch:path("recipe.lua") }, env)
  local text = ""
  while not text:find("   begun", 1, true) do
    text = text .. (child:read() or error("it has ended: " .. text))
  end
  assert(proc.run { argv = { "kill", "-KILL", scratch:pid_of(child) } })
  for piece in child.read, child do text = text .. piece end
  assert(child:wait())
  assert.is_true(wait_until(function() return #marked("MARKED=" .. suite.mark) == 0 end))
  local resumed = scratch:orch({ "resume", "1" }, env)
  assert.equal(0, resumed.code, resumed.all)
  assert.matches("first  (done before)", resumed.out, 1, true)
end

--- A scratch directory and an executor, given by its expression in a recipe; orch is run with env.
---@param executor string
---@param env? table<string, string>
local function new(executor, env)
  local scratch = support.scratch(env)
  return setmetatable({ scratch = scratch, executor = executor,
    mark = scratch.dir:match("[^-]+$") }, Suite)
end

--- Ends what a failed case has left, and removes the directory.
function Suite:close()
  for _, pid in ipairs(marked("MARKED=" .. self.mark)) do
    proc.run { argv = { "kill", "-9", pid } }
  end
  self.scratch:remove()
end

--- Calls f(title, case) for each, by title.
local function each(f)
  for _, of in ipairs { cases, executor_files } do
    local titles = {}
    for title in pairs(of) do titles[#titles + 1] = title end
    table.sort(titles)
    for _, title in ipairs(titles) do f(title, of[title]) end
  end
end

return { new = new, each = each }
