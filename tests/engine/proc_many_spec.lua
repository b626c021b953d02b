local fs = require "orch.fs"
local proc = require "orch.proc"

describe("proc.kill", function()
  it("signals one process, never a group", function()
    local child = proc.start { argv = { "/bin/sh", "-c", "echo $$; exec sleep 1000" } }
    assert.is_true(proc.kill(math.tointeger(tonumber((child:read():gsub("%s", "")))), 15))
    assert.equal(15, assert(child:wait()).signal)
    for _, bad in ipairs { -1, 0, 1, "all", 1 << 40 } do
      assert.has_error(function() proc.kill(bad, 15) end)
    end
  end)

  it("tells of a process that is not there", function()
    local pid = tonumber(assert(proc.run { argv = { "/bin/sh", "-c", "echo $$" } }).stdout)
    local good, failure = proc.kill(pid, 0)
    assert.is_nil(good)
    assert.equal("missing", failure.kind)
  end)
end)

describe("many children", function()
  it("run side by side with 1,024 descriptors", function()
    local script = os.tmpname()
    assert(fs.write(script, [[
      local orch, proc = require "orch", require "orch.proc"
      local branches = {}
      for i = 1, 2000 do
        branches["b" .. i] = function()
          local child = assert(proc.start { argv = { "/bin/sh", "-c", "sleep 0.05; echo " .. i } })
          local text = child:read()
          assert(child:wait().code == 0)
          assert(assert(proc.run { argv = { "/bin/echo", i } }).stdout == text)
          return text
        end
      end
      local results = orch.all(branches)
      for i = 1, 2000 do assert(results["b" .. i] == i .. "\n") end
      print "all"]]))
    local result =
      assert(proc.run { argv = { "/bin/sh", "-c", "ulimit -n 1024; exec \"$0\" lua \"$1\"",
      fs.real_path("/proc/self/exe"), script }, timeout = 120 })
    os.remove(script)
    assert.equal("all\n", result.stdout)
  end)

  it("wait for their turn in order, also when those that waited last are cancelled", function()
    local script = os.tmpname()
    assert(fs.write(script, [[
      local proc, task = require "orch.proc", require "orch.task"
      local function sleep(seconds) return task.spawn(function()
        return assert(proc.run { argv = { "/bin/sleep", seconds } }).code
      end) end
      local running, waiting = {}, {}
      for i = 1, 16 do running[i] = sleep "0.3" end
      for i = 1, 8 do waiting[i] = sleep "0" end
      task.sleep(0.05)
      for i = 8, 5, -1 do waiting[i]:cancel "no longer wanted" end
      task.sleep(0)
      collectgarbage()
      local late = sleep "0"
      for i = 1, 4 do assert(select(2, waiting[i]:join()) == 0) end
      for i = 5, 8 do assert(tostring(select(2, waiting[i]:join())) == "no longer wanted") end
      assert(select(2, late:join(10)) == 0, "lost")
      print "all"]]))
    local result =
      assert(proc.run { argv = { "/bin/sh", "-c", "ulimit -n 192; exec \"$0\" lua \"$1\"",
      fs.real_path("/proc/self/exe"), script }, timeout = 60 })
    os.remove(script)
    assert.equal("all\n", result.stdout)
  end)
end)
