local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local spool = require "orch.spool"
local task = require "orch.task"

-- The writers are children: only they have a pipe that nobody need read.
local PRELUDE <const> = [[
local fs, json, spool, task = require "orch.fs", require "orch.json", require "orch.spool", require "orch.task"
local function block(i) return ("%07d\n"):format(i):rep(8192) end -- 64 KiB
local function report(values) assert(fs.write(os.getenv "SPEC_REPORT", json.encode(values))) end
local function memory() return tonumber(assert(fs.read("/proc/self/status")):match("VmRSS:%s+(%d+)")) end
]]

local function wait_for(path)
  for _ = 1, 2000 do
    if fs.stat(path) then return end
    task.sleep(0.01)
  end
  error("never came: " .. path)
end

describe("spool", function()
  local dir
  before_each(function()
    dir = assert(fs.make_temp("/tmp/orch-spec-"))
    assert(fs.make_dir(dir .. "/tmp"))
  end)
  after_each(function() assert(fs.remove(dir)) end)

  local function command(chunk)
    assert(fs.write(dir .. "/chunk.lua", PRELUDE .. chunk))
    local environment = fs.environment()
    environment.SPEC_REPORT, environment.TMPDIR = dir .. "/report", dir .. "/tmp"
    -- what was freed must be gone, not kept for the sanitizer
    environment.ASAN_OPTIONS = (environment.ASAN_OPTIONS or "") .. ":quarantine_size_mb=1"
    return { assert(fs.real_path("/proc/self/exe")), "lua", dir .. "/chunk.lua" }, environment
  end

  local function start(chunk, tmp)
    local argv, environment = command(chunk)
    environment.TMPDIR = tmp or environment.TMPDIR
    return assert(proc.start { argv = argv, env = environment, timeout = 60 })
  end

  local function rest_of(child)
    local pieces = {}
    for piece in child.read, child do pieces[#pieces + 1] = piece end
    local result = assert(child:wait())
    local text = table.concat(pieces)
    assert.equal(0, result.code, text:sub(-1000))
    return text
  end

  local function reported() return assert(json.decode(assert(fs.read(dir .. "/report")))) end

  it("does not wait for a slow reader, and loses nothing", function()
    local child = start [[
      local before = memory()
      local s = assert(spool.open(1))
      local flags = assert(fs.read("/proc/self/fdinfo/1")):match("flags:%s*(%d+)")
      for i = 1, 800 do
        s:write(block(i))
        if i % 16 == 0 then collectgarbage() end
      end
      local values = { pending = s:pending(), memory = memory() - before, flags = flags }
      assert(fs.write(os.getenv "SPEC_REPORT" .. ".written", ""))
      values.closed = s:close()
      values.after = s:pending()
      report(values)]]
    wait_for(dir .. "/report.written") -- nothing is read before
    assert.same({}, assert(fs.list(dir .. "/tmp"))) -- the file has no name
    local text = rest_of(child)
    assert.equal(800 * 65536, #text)
    for i = 1, 800 do
      local line = ("%07d\n"):format(i)
      local at = (i - 1) * 65536
      assert.equal(line, text:sub(at + 1, at + 8))
      assert.equal(line, text:sub(at + 65529, at + 65536))
    end
    local values = reported()
    assert.is_true(values.pending > 45000000, values.pending)
    assert.is_true(values.memory < 16384, values.memory)
    assert.equal(0, tonumber(values.flags, 8) & tonumber("4000", 8))
    assert.same({ true, 0 }, { values.closed, values.after })
    assert.same({}, assert(fs.list(dir .. "/tmp")))
  end)

  it("keeps many small writes in order, through memory, file and memory again", function()
    local child = start [[
      local s = assert(spool.open(1))
      local n, rest = 0, (" "):rep(240) .. "\n"
      for round = 1, 4 do
        for _ = 1, 6000 do
          n = n + 1
          s:write(n, rest)
        end
        assert(round > 1 or s:pending() > 1 << 20, "no need of a file")
        assert(fs.write(os.getenv "SPEC_REPORT" .. ".written", ""))
        while round < 4 and s:pending() > 0 do task.sleep(0.001) end
      end
      assert(s:close())]]
    wait_for(dir .. "/report.written") -- nothing is read before
    local n = 0
    for line in rest_of(child):gmatch("[^\n]+") do
      n = n + 1
      assert.equal(n, tonumber(line))
    end
    assert.equal(24000, n)
  end)

  it("writes what is left when its task ends without closing it", function()
    local child = start [[
      local s = assert(spool.open(1))
      for i = 1, 40 do s:write(block(i)) end]]
    task.sleep(0.1)
    assert.equal(40 * 65536, #rest_of(child))
  end)

  it("tells once that the reader has gone, and drops the rest", function()
    local argv, environment = command [[
      local s = assert(spool.open(1))
      for i = 1, 100 do s:write(block(i)) end
      while s:pending() > 0 do task.sleep(0.001) end
      local failed = s:failed()
      for i = 1, 100 do s:write(block(i)) end
      s:frame("x")
      local good, err = s:close()
      report { good = good == nil, kind = err.kind, message = err.message, pending = s:pending(), failed = failed,
        again = s:close() }]]
    local result =
      assert(proc.run { env = environment, argv = { "/bin/sh", "-c", '"$@" | head -c 3', "sh",
      table.unpack(argv) } })
    assert.equal("000", result.stdout)
    local values = reported()
    assert.same({ good = true, kind = "io", message = values.message, pending = 0, failed = true,
      again = true }, values)
    assert.matches("cannot write output", values.message)
  end)

  it("delivers what came before the disk was full", function()
    local child = start([[
      local s = assert(spool.open(1))
      for i = 1, 100 do s:write(block(i)) end
      assert(fs.write(os.getenv "SPEC_REPORT" .. ".written", ""))
      local good, err = s:close()
      report { good = good == nil, kind = err.kind }]], "/nowhere")
    wait_for(dir .. "/report.written") -- nothing is read before
    local text = rest_of(child)
    assert.is_true(#text >= 16 * 65536 and #text % 65536 == 0)
    assert.same({ good = true, kind = "io" }, reported())
  end)

  it("stops closing when it is cancelled", function()
    local child = start [[
      local writer = task.spawn(function()
        local s = assert(spool.open(1))
        for i = 1, 100 do s:write(block(i)) end
        s:close()
      end)
      task.sleep(0.05)
      local started = task.clock()
      writer:cancel(require "orch.error".new { kind = "cancelled", message = "enough" })
      local good, err = writer:join()
      report { good = good, kind = err.kind, seconds = task.clock() - started }]]
    wait_for(dir .. "/report")
    local values = reported() -- before anything was read
    assert.same({ good = false, kind = "cancelled", seconds = values.seconds }, values)
    assert.is_true(values.seconds < 0.5)
    rest_of(child)
    assert.same({}, assert(fs.list(dir .. "/tmp")))
  end)

  it("shows the last of the frames that had to wait, behind all bytes", function()
    local child = start [[
      local s = assert(spool.open(1))
      for i = 1, 32 do s:write(block(i)) end
      s:frame("<one>")
      s:frame("<two>")
      s:write("tail\n")
      s:frame("<three>")
      assert(s:close())]]
    task.sleep(0.1)
    local text = rest_of(child)
    assert.equal(32 * 65536 + #"tail\n<three>", #text)
    assert.equal("0000032\ntail\n<three>", text:sub(-20))
  end)

  it("shows a frame at once when nothing else waits", function()
    local child = start [[
      local s = assert(spool.open(1))
      s:write("a"):write("b", 3)
      task.sleep(0.05)
      s:frame("<one>")
      task.sleep(0.05)
      s:frame("<two>")
      task.sleep(0.05)
      s:write("c")
      assert(s:close())]]
    assert.equal("ab3<one><two>c", rest_of(child))
  end)

  it("writes to a file", function()
    local argv, environment = command [[
      local s = assert(spool.open(1))
      for i = 1, 50 do s:write(block(i)) end
      assert(s:close())]]
    assert(proc.run { env = environment,
      argv = { "/bin/sh", "-c", 'echo before > "$0"; "$@" >> "$0"', dir .. "/out",
      table.unpack(argv) } })
    local text = assert(fs.read(dir .. "/out"))
    assert.equal("before\n0000001\n", text:sub(1, 15))
    assert.equal(50 * 65536 + 7, #text)
  end)

  it("writes to a terminal", function()
    if not fs.stat("/usr/bin/script") then return pending "no script(1) here" end
    local argv, environment = command [[
      local s = assert(spool.open(1))
      for i = 1, 4 do s:write(block(i)) end
      s:frame("frame")
      assert(s:close())]]
    local result = assert(proc.run { env = environment, argv = { "/usr/bin/script", "-qec",
      table.concat(argv, " "), "/dev/null" } })
    assert.equal(4 * 65536 // 8 * 9 + #"frame", #result.stdout)
  end)

  it("refuses descriptors that cannot be written to", function()
    local _, err = spool.open(9999)
    assert.equal("io", err.kind)
    assert.matches("descriptor 9999", err.message)
    assert.has_error(function() spool.open(-1) end)
    assert.has_error(function() spool.open "x" end)
  end)

  it("raises for misuse", function()
    local child = start [[
      local s = assert(spool.open(1))
      local big = pcall(s.frame, s, ("x"):rep((1 << 20) + 1))
      local typed = pcall(s.write, s, {})
      assert(s:close())
      report { big = big, typed = typed, late = pcall(s.write, s, "x"), again = s:close() }]]
    assert.equal("", rest_of(child))
    assert.same({ big = false, typed = false, late = false, again = true }, reported())
  end)
end)
