-- More at once than there may be descriptors: each waits for its turn, none fails.
local fs = require "orch.fs"
local proc = require "orch.proc"
local servers = require "engine.servers.servers"

local PRELUDE <const> = [[
  local fs, hash, http, orch, tar = require "orch.fs", require "orch.hash", require "orch.http", require "orch",
    require "orch.tar"
  local task = require "orch.task"
  local dir, url = ...
  local function many(f)
    local branches = {}
    for i = 1, 1500 do branches["b" .. i] = function() f(i) end end
    orch.all(branches)
  end ]]

describe("1,500 at once with 1,024 descriptors", function()
  local dir, server
  setup(function()
    dir, server = assert(fs.make_temp("/tmp/orch-spec-")), servers.http()
    assert(fs.write(dir .. "/f", "x"))
    assert(proc.run { argv = { "tar", "cf", dir .. "/t.tar", "-C", dir, "f" } })
  end)
  teardown(function()
    server:stop()
    assert(fs.remove(dir))
  end)

  local function output(chunk)
    assert(fs.write(dir .. "/many.lua", PRELUDE .. chunk))
    local result =
      assert(proc.run { argv = { "/bin/sh", "-c", "ulimit -n 1024; exec \"$0\" lua \"$@\"",
      fs.real_path("/proc/self/exe"), dir .. "/many.lua", dir, server.url }, split = true,
        timeout = 120 })
    return result.stdout, result.stderr
  end

  for name, call in pairs {
    ["requests"] = 'assert(assert(http.request { url = url .. "/hello" }).body == "hello")',
    ["hashes"] = 'assert(#assert(hash.file(dir .. "/f")) == 64)',
    ["archives packed"] = [[
      local file = ("%s/p%d"):format(dir, i)
      assert(tar.pack { root = dir, paths = { "f" }, file = file })
      assert(os.remove(file)) ]],
    ["archives unpacked"] = [[
      local into = ("%s/u%d"):format(dir, i)
      assert(fs.make_dir(into))
      assert(tar.unpack { file = dir .. "/t.tar", into = into }) ]],
    ["files removed"] = 'assert(fs.remove(dir .. "/none"))',
    ["naps"] = "task.sleep(0.05)",
  } do
    it(name .. " come to their end", function()
      local printed, said = output(("many(function(i) %s end) print 'all'"):format(call))
      assert.equal("all\n", printed, said)
    end)
  end

  it("streams, which stay open, say what they lack", function()
    assert.matches("^limit\tcannot connect to 127.0.0.1:%d+: too many files are open; raise `ulimit %-n`", (output [[
      local _, failure = pcall(many, function()
        assert(http.stream { host = "127.0.0.1", port = tonumber(url:match "%d+$") })
        task.sleep(1000)
      end)
      print(failure.kind, failure.message) ]]))
  end)

  it("archives that wait for their turn can be cancelled", function()
    assert.equal("1500\n", (output [[
      assert(os.execute("truncate -s 3G " .. dir .. "/large"))
      local running, ended = {}, 0
      for i = 1, 1500 do
        running[i] = task.spawn(function() tar.pack { root = dir, paths = { "large" }, file = dir .. "/p" .. i } end)
      end
      task.sleep(0.05)
      for i = 1500, 1, -1 do running[i]:cancel(i % 2 == 0 and "late" or "later") end
      for i = 1, 1500 do
        local good, why = running[i]:join(20)
        if good == false and why.message == (i % 2 == 0 and "late" or "later") then ended = ended + 1 end
      end
      os.remove(dir .. "/large")
      print(ended) ]]))
  end)
end)
