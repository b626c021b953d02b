local fs = require "orch.fs"
local orch = require "orch"
local proc = require "orch.proc"
local task = require "orch.task"

local function sh(script, options)
  options = options or {}
  options.argv = { "/bin/sh", "-c", script }
  return assert(proc.start(options))
end

local function read_all(child)
  local pieces = {}
  for piece in child.read, child do pieces[#pieces + 1] = piece end
  return table.concat(pieces)
end

local function seconds_of(f, ...)
  local started = task.clock()
  f(...)
  return task.clock() - started
end

-- Bytes of memory that we use.
local function resident()
  for line in io.lines("/proc/self/status") do
    local kib = line:match("^VmRSS:%s+(%d+) kB")
    if kib then return tonumber(kib) << 10 end
  end
end

describe("a child", function()
  it("is read while it runs", function()
    local child = sh "echo first; sleep 0.03; read line; echo \"$line\"" -- no input: read fails
    assert.same({ "first\n", "stdout" }, { child:read() })
    assert.equal("\n", read_all(child))
    assert.equal(0, assert(child:wait()).code)
    assert.is_nil(child:read())
  end)

  it("tells which output a piece is from when they are apart", function()
    local child = sh("echo out; sleep 0.02; echo err >&2", { split = true })
    assert.same({ "out\n", "stdout" }, { child:read() })
    assert.same({ "err\n", "stderr" }, { child:read() })
    assert.is_nil(child:read())
  end)

  it("has one end, told as often as asked", function()
    local child = sh "exit 3"
    local first, second = child:wait(), child:wait()
    assert.same({ 3, 3 }, { first.code, second.code })
    assert.equal(first.max_rss, second.max_rss)
    child = proc.start { argv = { "/bin/sleep", "1000" } }
    child:cancel()
    child:cancel()
    for _ = 1, 2 do
      local result, failure = child:wait()
      assert.is_nil(result)
      assert.equal("cancelled", failure.kind)
    end
  end)

  it("whose program cannot be run tells so at the latest in wait", function()
    local child, failure = proc.start { argv = { "/no/such/program" } }
    if child then
      assert.is_nil(child:read())
      child, failure = child:wait()
    end
    assert.is_nil(child)
    assert.equal("missing", failure.kind)
  end)

  it("has a process id while it runs", function()
    local child = sh "sleep 1000"
    local pid = child:pid()
    assert.truthy(fs.stat("/proc/" .. pid))
    child:cancel()
    child:wait()
    assert.is_nil(child:pid())
    assert.is_nil(fs.stat("/proc/" .. pid))
  end)

  it("gets signals", function()
    local child = sh [[exec 2>/dev/null # the group gets them: no words on what became of sleep
      trap 'echo usr1' USR1
      trap 'echo term; exit 4' TERM
      echo ready
      while :; do sleep 0.01; done]]
    assert.equal("ready\n", child:read())
    child:signal(10)
    assert.equal("usr1\n", child:read())
    child:signal(15)
    assert.equal("term\n", child:read())
    assert.equal(4, assert(child:wait()).code)
    child:signal(15)
    assert.has_error(function() child:signal("TERM") end)
    assert.has_error(function() child:signal(0) end)
  end)

  it("waits for its reader, who then gets everything", function()
    local size <const> = 200 << 20
    local child = proc.start { argv = { "head", "-c", tostring(size), "/dev/zero" } }
    task.sleep(0.05)
    local before = resident()
    task.sleep(0.05)
    assert.is_true(resident() - before < 4 << 20)
    local got = 0
    for piece in child.read, child do got = got + #piece end
    assert.equal(size, got)
    assert.equal(0, assert(child:wait()).code)
  end)

  it("loses nothing when one output is full and the other is read", function()
    local child =
      sh("head -c 2000000 /dev/zero >&2 & for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.01; done; wait",
      { split = true })
    local got = { stdout = 0, stderr = 0 }
    for piece, stream in child.read, child do
      got[stream] = got[stream] + #piece
      task.sleep(0.005)
    end
    assert.same({ stdout = 16, stderr = 2000000 }, got)
  end)

  it("loses nothing when it ends long before it is read", function()
    local child = sh "head -c 330000 /dev/zero"
    task.sleep(2.3)
    assert.equal(330000, #read_all(child))
    assert.equal(0, assert(child:wait()).code)
  end)

  it("need not be read by who waits for its end", function()
    local child = sh "head -c 5000000 /dev/zero; exit 5"
    assert.equal(5, assert(child:wait()).code)
  end)

  it("is read by one task at a time", function()
    local child = sh "sleep 0.03"
    local first = task.spawn(function() return child:read() end)
    local second = task.spawn(function() return child:read() end)
    local good, failure = second:join()
    assert.is_false(good)
    assert.matches("another task waits for this child already", failure.message)
    assert.same({ true }, { first:join() })
  end)

  it("uses our own standard output when it inherits it", function()
    local script = os.tmpname()
    assert(fs.write(script, [[
      local child = require "orch.proc".start { argv = { "/bin/sh", "-c", "cat; echo err >&2" }, inherit = true }
      local nothing = child:read()
      return nothing == nil and child:wait().code == 0 and 0 or 1]]))
    local result =
      assert(proc.run { argv = { fs.real_path("/proc/self/exe"), "lua", script }, input = "through",
      split = true })
    os.remove(script)
    assert.same({ 0, "through", "err\n" }, { result.code, result.stdout, result.stderr })
  end)

  it("in the foreground stays in our group, and is asked to end by HUP", function()
    local script = os.tmpname()
    assert(fs.write(script, [[
      local fs, proc, task = require "orch.fs", require "orch.proc", require "orch.task"
      local child = proc.start { foreground = true, argv = { "/bin/bash", "-c",
        "trap 'echo hup; exit' HUP; cut -d ' ' -f 5 /proc/$$/stat /proc/$PPID/stat; rm $READY; while :; do sleep 0.05; done" } }
      while fs.stat(os.getenv "READY") do task.sleep(0.01) end
      child:cancel()
      local result, failure = child:wait()
      return result == nil and failure.kind == "cancelled" and 0 or 1]]))
    local result = assert(proc.run { argv = { fs.real_path("/proc/self/exe"), "lua", script },
      set = { READY = os.tmpname() }, timeout = 30 })
    os.remove(script)
    assert.equal(0, result.code, result.stdout)
    local own, ours = result.stdout:match("^(%d+)\n(%d+)\nhup\n$")
    assert.equal(own or result.stdout, ours)
  end)
end)

describe("cancelling a child", function()
  it("of proc.run ends it and raises", function()
    local running = task.spawn(function() proc.run { argv = { "sleep", "1000" } } end)
    task.sleep(0.01)
    running:cancel(require "orch.error".new { kind = "cancelled", message = "stop" })
    local took = seconds_of(function() assert.equal("stop", select(2, running:join()).message) end)
    assert.is_true(took < 2)
  end)

  it("before proc.run is called starts nothing", function()
    local dir = assert(fs.make_temp("/tmp/orch-spec-"))
    local running = task.spawn(function() proc.run { argv = { "touch", dir .. "/started" } } end)
    running:cancel(require "orch.error".new { kind = "cancelled", message = "stop" })
    running:join()
    task.sleep(0.02)
    assert.same({}, fs.list(dir))
    fs.remove(dir)
  end)

  it("right after its start, or after its end, is safe", function()
    local child = proc.start { argv = { "sleep", "1000" } }
    child:cancel()
    assert.equal("cancelled", select(2, child:wait()).kind)
    child = sh "exit 6"
    assert.equal(6, child:wait().code)
    child:cancel()
    assert.equal(6, child:wait().code)
  end)

  it("lets it end in its own way", function()
    local child =
      sh "exec 2>/dev/null; trap 'echo bye; exit' TERM; echo ready; while :; do sleep 0.01; done"
    assert.equal("ready\n", child:read())
    child:cancel()
    assert.equal("bye\n", read_all(child))
    assert.equal("cancelled", select(2, child:wait()).kind)
  end)

  it("kills it after the grace when it ignores TERM", function()
    local child = sh("trap '' TERM; echo ready; while :; do sleep 0.01; done", { grace = 0.1 })
    assert.equal("ready\n", child:read())
    local took = seconds_of(function()
      child:cancel()
      assert.equal("cancelled", select(2, child:wait()).kind)
    end)
    assert.is_true(took >= 0.09 and took < 2, took)
  end)

  it("ends one that is stopped", function()
    local child = sh "echo ready; kill -STOP $$; sleep 1000"
    assert.equal("ready\n", child:read())
    task.sleep(0.02)
    assert.is_true(seconds_of(function()
      child:cancel()
      child:wait()
    end) < 2)
  end)

  it("ends one whose output nobody reads", function()
    local took = seconds_of(function()
      task.spawn(function()
        proc.start { argv = { "yes" } }
        task.sleep(0.05)
      end):join()
    end)
    assert.is_true(took < 1, took)
  end)

  it("comes with the end of the task that started it", function()
    local pid
    task.spawn(function() pid = proc.start { argv = { "sleep", "1000" } }:pid() end):join()
    assert.is_nil(fs.stat("/proc/" .. pid))
  end)

  it("comes when nobody can reach it any more", function()
    local pid = proc.start { argv = { "sleep", "1000" } }:pid()
    collectgarbage()
    collectgarbage()
    for _ = 1, 50 do
      if not fs.stat("/proc/" .. pid) then break end
      task.sleep(0.01)
    end
    assert.is_nil(fs.stat("/proc/" .. pid))
  end)

  it("comes with <close>, and harms nobody who still reads", function()
    local reader, kept
    do
      local child <close> = proc.start { argv = { "sleep", "1000" } }
      kept = child
      reader = task.spawn(function() return child:read() end)
      task.sleep(0)
    end
    assert.same({ true }, { reader:join(2) })
    assert.equal("cancelled", select(2, kept:wait()).kind)
    assert.is_nil(kept:pid())
  end)

  it("is held back by orch.cleanup", function()
    local result
    local running = task.spawn(function()
      orch.cleanup(function()
        result = proc.run { argv = { "sh", "-c", "sleep 0.03; echo cleaned" } }
      end)
    end)
    task.sleep(0.01)
    running:cancel(require "orch.error".new { kind = "cancelled", message = "stop" })
    running:join()
    assert.equal("cleaned\n", result.stdout)
  end)
end)
