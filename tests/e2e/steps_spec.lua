local fs = require "orch.fs"
local http = require "orch.http"
local proc = require "orch.proc"
local processes = require "e2e.processes"
local support = require "e2e.support"
local task = require "orch.task"

describe("a step", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  local function good(body, head, env, ...)
    local result = scratch:recipe(body, { ... }, env, head)
    assert.equal(0, result.code, result.all)
    return result
  end

  local function bad(code, words, body, head)
    local result = scratch:recipe(body, {}, {}, head)
    assert.equal(code, result.code, result.all)
    assert.is_truthy(result.err:find(words, 1, true), result.all)
    return result
  end

  it("is run by bash that stops at the first failure, in pipes too", function()
    good "job:run 'echo $0 $- | grep e; set -o | grep -q \"pipefail.*on\"'"
    bad(1, "exit code 1", "job:run 'false | true; echo on'")
    bad(1, "exit code 1", "job:run 'false\\necho on'")
    good "job:run { shell = '/bin/sh -e', 'test -z \"$BASH_VERSION\"' }"
    good("job:run 'test -z \"$BASH_VERSION\"'", "shell = { '/bin/sh', '-e' },")
    assert.matches("a b|c", good("job:run { 'printf', '%s|%s\\n', 'a b', 'c' }").out, 1, true)
  end)

  it("tells an exit code from a signal", function()
    bad(1, "exit code 7", "job:run 'exit 7'")
    bad(1, "ended by signal 9", "job:run 'kill -9 $$'")
    good "local r = job:run { 'exit 3', check = false } assert(r.code == 3)"
    bad(1, "no-such-program", "job:run 'no-such-program'")
    bad(1, "exit code 127 (something in it was not found)", "job:run 'no-such-program | cat'")
    bad(1, "exit code 141 (SIGPIPE: what reads a pipe ended before", "job:run 'yes | head -n 1'")
    bad(1, "exit code 137 (a program in it was ended by SIGKILL",
      [[job:run "sh -c 'kill -9 $$'; echo on"]])
  end)

  it("tells when its parent was killed, and the next one runs", function()
    bad(1, "ended by signal 9, because somebody killed orch-shim, its parent",
      "job:run 'kill -9 $PPID; sleep 60'")
    for _, whom in ipairs { "$PPID", "$(ps -o ppid= $PPID)" } do -- its keeper; the nursery
      assert.matches("%d+ goes on", good(([[
        pcall(function() job:run 'kill -9 %s; sleep 0.05' end)
        job:run 'echo $PPID goes on']]):format(whom)).out)
    end
  end)

  it("hands variables on by BASH_ENV, and only those", function()
    good [[job:run 'echo "export X=from-step-1" >> "$BASH_ENV"; Y=lost; export Y'
job:run 'test "$X" = from-step-1 && test -z "$Y"'
job:run { 'test "$X" = mine', environment = { X = "mine" }, shell = "/bin/sh" }]]
  end)

  it("runs in a directory below the job's, or below its home", function()
    good [[job:run 'mkdir -p sub/dir home/x'
job:run { 'test "$PWD" = "$WORK/sub/dir" && test "$(pwd)" = "$PWD"', working_directory = "sub/dir", environment = { WORK = job.dir } }
job:run { 'test "$PWD" = "$HOME/x"', working_directory = "~/x", environment = { HOME = job.dir .. "/home" } }
job:run { 'test "$PWD" = "$HOME"', working_directory = "~", environment = { HOME = job.dir .. "/home" } }]]
    bad(5, "sub/none", "job:run { 'true', working_directory = 'sub/none' }")
  end)

  it("sees variables by precedence", function()
    good([[job:run 'test "$A$B" = jobenv'
job:run { 'test "$A$B" = stepenv', environment = { A = "step" } }
job:run { 'A=shell; test "$A$B" = shellenv', environment = { A = "step" } }
job:run 'test "$CI" = true'
job:run { 'test "$A$B" = 7true', environment = { A = 7, B = true } }]], "environment = { A = 'job' },", { A = "outer", B = "env" })
    bad(2, "run: environment: 'A' must be a string, a number, true or false, got table",
      "job:run { 'true', environment = { A = {} } }")
    bad(2,
      "orch.job: environment of 'job': 'A' must be a string, a number, true or false, got function",
      "", "environment = { A = print },")
  end)

  it("ends when it is silent for too long", function()
    local started = task.clock()
    bad(8, "sleep 30: too long with no output (no_output_timeout is 200ms)",
      "job:run { 'echo x; sleep 30', no_output_timeout = '200ms' }")
    assert.is_true(task.clock() - started < 10)
    good "job:run { 'for i in 1 2 3 4; do echo $i; sleep 0.1; done', no_output_timeout = '300ms' }"
    bad(2, "is no duration", "job:run { 'true', no_output_timeout = 'soon' }")
  end)

  it("is run again as often as it may", function()
    local result =
      good "job:run { 'echo x >> n; test $(wc -l < n) -ge 3', max_auto_reruns = 2, auto_rerun_delay = '1ms' }"
    assert.matches("exit code 1; run again (2 of 2)", result.out, 1, true)
    bad(1, "exit code 1", "job:run { 'false', max_auto_reruns = 1 }")
    bad(2, "at most 5", "job:run { 'false', max_auto_reruns = 6 }")
    bad(2, "at most 10m", "job:run { 'false', max_auto_reruns = 1, auto_rerun_delay = '11m' }")
  end)

  describe("in the background", function()
    it("is there when it is ready, by each sign, and gone with the job", function()
      local port = processes.free_port()
      local marker = "6" .. scratch.dir:gsub("%D", ""):sub(1, 6) .. "2"
      good(([[
job:run { background = true, "sleep 0.1; printf re; sleep 0.1; echo 'ady now'; sleep %s", ready = { log = "ready now" } }
job:run { background = true, "sleep 0.1; touch flag; sleep %s", ready = { command = "test -e flag" } }
job:run { background = true, "python3 -m http.server --bind 127.0.0.1 %d; sleep %s", ready = { port = %d } }
job:run { background = true, "sleep %s", ready = { http = "http://127.0.0.1:%d/" } }
job:run "test -e flag"]]):format(marker, marker, port, marker, port, marker, port))
      task.sleep(0.05)
      assert.equal(1, assert(proc.run { argv = { "pgrep", "-fx", "sleep " .. marker } }).code)
    end)

    it("fails when it ends before it is ready, or is not ready in time", function()
      bad(1, "exit code 4", "job:run { background = true, 'exit 4', ready = { port = 1 } }")
      bad(1, "ended before it was ready",
        "job:run { background = true, 'exit 0', ready = { port = 1 } }")
      bad(8, "not ready after 0.2 s: log nothing",
        "job:run { background = true, 'sleep 20', ready = { log = 'nothing', timeout = '200ms' } }")
      bad(2, "ready needs one of port, http, command, log",
        "job:run { background = true, 'sleep 20', ready = {} }")
      bad(2, "ready takes one of port and log, not both",
        "job:run { background = true, 'sleep 20', ready = { port = 1, log = 'x' } }")
      bad(2, "'port' must be at most 65535",
        "job:run { background = true, 'sleep 20', ready = { port = 70000 } }")
      bad(2, "http must be a URL",
        "job:run { background = true, 'sleep 20', ready = { http = 'localhost:80' } }")
      bad(2, "'[' is no Lua pattern: malformed pattern",
        "job:run { background = true, 'sleep 20', ready = { log = '[' } }")
      bad(2, "ready is for a background command", "job:run { 'sleep 20', ready = { port = 1 } }")
      local started = task.clock()
      bad(8, "not ready after 0.3 s: command sleep 20",
        "job:run { background = true, 'sleep 20', ready = { command = 'sleep 20', timeout = 0.3 } }")
      assert.is_true(task.clock() - started < 10)
      bad(2, "unknown option 'prot'; did you mean 'port'",
        "job:run { background = true, 'sleep 20', ready = { prot = 1 } }")
    end)

    it("is not taken for another program that has its port", function()
      local port = processes.free_port()
      local other =
        assert(proc.start { argv = { "python3", "-m", "http.server", "--bind", "127.0.0.1",
        tostring(port) } })
      assert.is_true(processes.wait_until(function()
        return http.request { url = ("http://127.0.0.1:%d/"):format(port) } ~= nil
      end))
      local result =
        scratch:recipe(("job:run { background = true, 'sleep 20', ready = { port = %d } }"):format(port))
      other:signal(15)
      other:wait()
      assert.equal(6, result.code, result.all)
      assert.matches(("port %d of 127.0.0.1 is in use by another program"):format(port), result.err,
        1, true)
    end)

    it("is gone when the job is tried again, and begun anew", function()
      local port = processes.free_port()
      local result =
        scratch:recipe(([[job:run { background = true, "exec python3 -m http.server --bind 127.0.0.1 %d", ready = { port = %d } }
job:run { "test -e $FLAG || { touch $FLAG; false; }", environment = { FLAG = "%s" } }]]):format(port, port, scratch:path("flag")),
        {}, {}, "retry = { attempts = 2, delay = 0 },")
      assert.equal(0, result.code, result.all)
    end)

    it("tells how it ended, when nobody waits for it", function()
      assert.matches("in the background: echo x; exit 3: exit code 3",
        good("job:run { background = true, 'echo x; exit 3' } job:sleep(0.3)").out, 1, true)
    end)

    it("keeps no job from ending", function()
      local started = task.clock()
      good "job:run { background = true, 'trap \"\" TERM; sleep 60' }"
      assert.is_true(task.clock() - started < 30)
    end)
  end)

  it("is cleaned up after on Ctrl-C, within its deadline", function()
    local path = scratch:write("long.lua", ([[
local orch = require "orch"
return orch.job { name = "j", run = function(job)
  job:defer(function() job:run "echo deferred > %s; sleep 0.2; echo whole >> %s" end)
  job:run "echo started; sleep 60" end }]]):format(scratch:path("trace"), scratch:path("trace")))
    local child = scratch:start { "run", path }
    local text = ""
    while not text:find("\n   started", 1, true) do text = text .. assert(child:read(), text) end
    child:signal(2)
    for piece in child.read, child do text = text .. piece end
    assert.equal(130, assert(child:wait()).code, text)
    assert.equal("deferred\nwhole\n", fs.read(scratch:path("trace")))
  end)

  it("sends a file of the job as a request's body, of any size", function()
    local server <close> = require "engine.servers.servers".http()
    good(([[
job:write { path = "out/f", text = ("0123456789"):rep(100) }
local reply = job:http { url = "%s/echo", method = "PUT", body_file = "out/f" }
assert(reply.body:find "^PUT /echo" and reply.body:find "\nContent%%-Length: 1000\n")
assert(reply.body:find(("0123456789"):rep(100), 1, true))]]):format(server.url))
    bad(5, "try: in out there is f", ([[job:write { path = "out/f", text = "" }
job:http { url = "%s/echo", body_file = "out/g" }]]):format(server.url))
  end)

  it("reads nothing from outside twice: resume gives what was recorded", function()
    local body = ([[
local seen = ("%%s %%s %%s"):format(job:now(), job:random(), job:random { low = 1, high = 1000000 })
job:run("echo '" .. seen .. "' >> %s")
local again = ("%%s"):format(seen)
job:run("echo '" .. again .. "' >> %s; test -e %s")]]):format(scratch:path("trace"), scratch:path("trace"), scratch:path("ready"))
    bad(1, "exit code 1", body)
    scratch:write("ready", "")
    local result = scratch:orch { "resume" }
    assert.equal(0, result.code, result.all)
    local lines = {}
    for line in fs.read(scratch:path("trace")):gmatch("[^\n]+") do
      lines[line] = (lines[line] or 0) + 1
    end
    local _, count = next(lines)
    assert.equal(3, count)
    assert.is_nil(next(lines, (next(lines))))
  end)
end)
