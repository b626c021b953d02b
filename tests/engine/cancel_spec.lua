-- The contract of everything that waits: cancelled before it starts it never begins; in flight it
-- ends soon, as cancelled; close to its end it is either done or cancelled; afterwards nothing is
-- left.
local db = require "orch.db"
local error_value = require "orch.error"
local fs = require "orch.fs"
local hash = require "orch.hash"
local http = require "orch.http"
local orch = require "orch"
local proc = require "orch.proc"
local repo = require "orch.repo"
local repositories = require "engine.servers.repositories"
local servers = require "engine.servers.servers"
local tar = require "orch.tar"
local task = require "orch.task"

local SOON <const> = 2 -- seconds in which what is cancelled has ended, on a busy machine
local BIG <const> = "3G" -- of a file without blocks: seconds of work
local ENDLESS <const> =
  "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"

local box, server, git, full, dir, database
-- What is there for all: files that take long, files that do not, two servers.
setup(function()
  box = repositories.box()
  dir, server, git, full = box.dir .. "/work", servers.http(), box:serve(), servers.full()
  box:sh(([[mkdir -p "$1/small" "$1/large" "$1/into"; cd "$1"; echo x > small/f; echo x > note; truncate -s %s large/big
    tar cf small.tar small; tar cf large.tar large]]):format(BIG), dir)
end)
teardown(function()
  for _, each in ipairs { server, git, full } do each:stop() end
  box:remove()
end)

local function sh(command) return { argv = { "/bin/sh", "-c", command }, grace = 0.1 } end

local function get(path, options)
  options = options or {}
  options.url = options.url or server.url .. path
  return assert(http.request(options))
end

local function stream(path, use)
  local open <close> =
    assert(http.upgrade { host = "127.0.0.1", port = math.tointeger(server.port), path = path })
  return use(open)
end

local function many_files(path)
  box:sh([[mkdir "$1"; python3 -c 'import os, sys
for i in range(20000): os.link(sys.argv[2], "%s/%d" % (sys.argv[1], i))' "$1" "$2"]], path, dir .. "/note")
end

local function checked_out()
  return box:sh([[git -C "$1" status --porcelain]], dir .. "/into/c") == ""
end

-- name = { long = takes seconds, short = does not, before = makes what they need, whole = is what
-- is left in into whole? }; long and short are called in a task that is cancelled.
local operations = {
  ["task.sleep"] = { long = function() task.sleep(100) end,
    short = function() task.sleep(0.003) end },
  ["task.park"] = { long = task.park },
  ["task.join"] = {
    long = function() task.spawn(function() pcall(task.sleep, 100) end):join() end,
    short = function() task.spawn(function() task.sleep(0.002) end):join() end,
  },
  ["proc.run"] = {
    long = function() assert(proc.run(sh "sleep 100 & sleep 100")) end,
    short = function() assert(proc.run(sh "echo x")) end,
  },
  ["child:read"] = { long = function() assert(proc.start(sh "sleep 100")):read() end },
  ["child:wait"] = {
    long = function() assert(proc.start(sh "trap '' TERM; sleep 100; sleep 100")):wait() end,
    short = function() assert(proc.start(sh "exit 3")):wait() end,
  },
  ["http.request"] = { long = function() get "/silent" end, short = function() get "/hello" end },
  ["http.request, connecting"] = { long = function() get(nil, { url = full.url .. "/hello" }) end },
  ["http.request, TLS"] =
    { long = function() get(nil, { url = server.url:gsub("^http", "https") .. "/hello" }) end },
  ["http.request, body"] = { long = function() get "/half" end,
    short = function() get "/bytes?n=500000" end },
  ["http.request, sending"] =
    { long = function() get("/silent", { body = ("x"):rep(1 << 25) }) end },
  ["http.request to a file"] = {
    long = function() get("/half", { file = dir .. "/into/f" }) end,
    short = function() get("/bytes?n=500000", { file = dir .. "/into/f" }) end,
    whole = function() return #fs.read(dir .. "/into/f") == 500000 end,
  },
  ["reply:read"] = {
    long = function()
      local reply <close> = get("/half", { stream = true })
      while reply:read() do end
    end,
    short = function()
      local reply <close> = get("/chunked?pause=0.001", { stream = true })
      while reply:read() do end
    end,
  },
  ["http.upgrade"] = { long = function() stream("/silent", print) end },
  ["stream:read"] = {
    long = function() stream("/upgrade", function(open) while assert(open:read()) do end end) end,
    short = function()
      stream("/upgrade", function(open) open:shutdown() while open:read() do end end)
    end,
  },
  ["stream:write"] = { long = function()
    stream("/upgrade", function(open) while true do assert(open:write(("x"):rep(1 << 22))) end end)
  end },
  ["repo.checkout from a server"] = {
    long = function()
      repo.checkout { url = git.url .. "/slow/app.git", into = dir .. "/into/c",
        mirror = box:fresh() }
    end,
    short = function()
      assert(repo.checkout { url = git.url .. "/app.git", into = dir .. "/into/c" })
    end,
    whole = checked_out,
  },
  ["repo.checkout of a path"] = {
    short = function() assert(repo.checkout { url = box.app, into = dir .. "/into/c" }) end,
    whole = checked_out,
  },
  ["repo.info"] = { short = function() assert(repo.info { dir = box.app }) end },
  ["hash.file"] = {
    long = function() hash.file(dir .. "/large/big") end,
    short = function() hash.file(dir .. "/note") end,
  },
  ["tar.pack"] = {
    long = function()
      tar.pack { root = dir .. "/large", paths = { "*" }, file = dir .. "/into/t" }
    end,
    short = function()
      assert(tar.pack { root = dir .. "/small", paths = { "*" }, file = dir .. "/into/t" })
    end,
    whole = function() return #assert(tar.list { file = dir .. "/into/t" }) == 1 end,
  },
  ["tar.pack, searching"] = {
    long = function()
      local patterns = {}
      for i = 1, 500 do patterns[i] = "*?" .. i .. "!" end
      tar.pack { root = dir .. "/many", paths = patterns, file = dir .. "/into/t" }
    end,
    before = function() if not fs.stat(dir .. "/many") then many_files(dir .. "/many") end end,
  },
  ["tar.unpack"] = {
    long = function() tar.unpack { file = dir .. "/large.tar", into = dir .. "/into" } end,
    short = function() assert(tar.unpack { file = dir .. "/small.tar", into = dir .. "/into" }) end,
    whole = function() return true end, -- what is unpacked stays; nobody takes it for all
  },
  ["tar.check"] = {
    long = function() tar.check { file = dir .. "/large.tar" } end,
    short = function() assert(tar.check { file = dir .. "/small.tar" }) end,
    quick = true,
  },
  ["tar.list"] = {
    long = function() tar.list { file = dir .. "/large.tar" } end,
    short = function() assert(tar.list { file = dir .. "/small.tar" }) end,
    quick = true, -- the content is skipped, not read
  },
  ["context:wait"] = { long = function()
    local context <close> =
      assert(tar.context { dir = dir .. "/large", dockerfile_text = "FROM scratch" })
    http.request { url = server.url .. "/silent", body_fd = context:fd() }
  end },
  ["fs.remove"] = {
    long = function() fs.remove(dir .. "/removed") end,
    short = function() fs.remove(dir .. "/none") end,
    before = function() -- a former one was cancelled in the middle
      if #(fs.list(dir .. "/removed") or {}) > 15000 then return end
      assert(fs.remove(dir .. "/removed"))
      many_files(dir .. "/removed")
    end,
  },
  ["db.exec"] = {
    long = function() assert(database:exec(ENDLESS)) end,
    short = function() assert(database:exec((ENDLESS:gsub("FROM c%)", "FROM c LIMIT 30000)")))) end,
  },
  ["db.transaction"] = {
    long = function() assert(database:transaction { { "SELECT 1" }, { ENDLESS } }) end,
    short = function() assert(database:transaction { { "SELECT 1" }, { "SELECT 2" } }) end,
  },
}

local names = {}
for name in pairs(operations) do names[#names + 1] = name end
table.sort(names)

local function reason()
  return error_value.new { kind = "cancelled", message = "no longer wanted" }
end

-- Cancels the task and gives what becomes of it.
local function cancel(running)
  local why, began = reason(), task.clock()
  running:cancel(why)
  local good, failure = running:join(SOON)
  assert(good ~= nil, "it still runs")
  if not good then assert.equal(why, failure) end
  return good, task.clock() - began
end

local function empty()
  assert(fs.remove(dir .. "/into"))
  assert(fs.make_dir(dir .. "/into"))
end

local function descriptors() return #assert(fs.list "/proc/self/fd") end

describe("cancelling", function()
  local open
  before_each(function()
    database = db.open(box:fresh "db")
    assert(database:exec "SELECT 1")
    open = descriptors()
  end)
  after_each(function()
    task.sleep(0)
    -- kept connections, keepers
    assert.is_true(descriptors() <= open + 4, "descriptors are left open")
    database:close()
    empty()
  end)

  for _, name in ipairs(names) do
    local operation = operations[name]
    local function clean()
      if name:find "repo" then assert.equal(0, box:kill_helpers()) end
      local left = fs.list(dir .. "/into")
      assert.is_true(#left == 0 or #left == 1 and operation.whole ~= nil and operation.whole(),
        left[1])
    end
    local before = operation.before or function() end

    it(name .. " before it starts: it does not begin", function()
      before()
      local began = task.clock()
      assert.is_false((cancel(task.spawn(operation.long or operation.short))))
      assert.is_true(task.clock() - began < SOON)
      clean()
    end)

    if operation.long and not operation.quick then
      it(name .. " in flight: it ends soon, and stays cancelled", function()
        before()
        local later
        local running = task.spawn(function()
          local good, failure = pcall(operation.long)
          assert(not good, "it came to its end")
          later = select(2, pcall(task.sleep, 0)) == failure
          error(failure, 0)
        end)
        task.sleep(0.03)
        assert.is_false(running:ended())
        assert.is_false((cancel(running)))
        assert.is_true(later)
        clean()
      end)

      it(name .. " by a limit on its time, also in a scope for cleaning up", function()
        before()
        local good, failure = pcall(orch.timeout, 0.02, operation.long)
        assert.same({ false, "timeout" }, { good, failure.kind })
        before()
        local began = task.clock()
        local running = task.spawn(function() orch.cleanup(operation.long, 0.03) end)
        running:cancel(reason())
        assert.is_false(running:join(SOON))
        assert.is_true(task.clock() - began >= 0.02)
        clean()
      end)
    end

    if operation.short then
      it(name .. " around its end: it is done, or cancelled", function()
        local began = task.clock()
        before()
        operation.short()
        local took = math.min(task.clock() - began, 0.2)
        for i = 0, 6 do
          empty()
          local running = task.spawn(operation.short)
          task.sleep(took * (i + 2) / 7)
          if not cancel(running) then clean() end
        end
        operation.short()
      end)
    end
  end
end)
