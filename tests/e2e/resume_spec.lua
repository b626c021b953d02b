local db = require "orch.db"
local deaths = require "e2e.deaths"
local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"

-- Each step's effect comes after a sleep, so that an orphan would do it beside the resumed step.
local HEAD <const> = [[
local orch = require "orch"
local function effect(job, name)
  job:run { name = name, ("sleep 0.01; echo %s >> $SPEC_EFFECTS"):format(name) }
end
]]

local THIRTY_STEPS <const> = HEAD .. [[
return orch.pipeline {
  orch.job { name = "first", run = function(job)
    for i = 1, 10 do effect(job, "first" .. i) end
    job:write { path = "kept", text = "from first" }
    job:persist_to_workspace { root = ".", paths = { "kept" } }
    return { stamped = job:now() > 0 }
  end },
  orch.job { name = "second", needs = { "first" }, run = function(job)
    job:attach_workspace { at = "in" }
    job:group("ten in a group", function()
      for i = 1, 10 do effect(job, "second" .. i) end
    end)
    orch.all {
      left = function() for i = 1, 5 do effect(job, "left" .. i) end end,
      right = function() for i = 1, 5 do effect(job, "right" .. i) end end,
    }
    return { read = job:read "in/kept", stamped = job.needs.first.stamped }
  end },
}
]]

-- Jobs side by side with branches in them, a background step that must be there, a retry, an added
-- job, and clean-up.
local SIDE_BY_SIDE <const> = HEAD .. [[
local function worker(name, more)
  return orch.job { name = name, retry = { attempts = 2, delay = 0 }, run = function(job)
    job:run { name = "server of " .. name, background = true, "echo up; while sleep 0.01; do :; done", ready = { log = "up" } }
    job:defer(function() effect(job, name .. "-tidy") end)
    local made = orch.all {
      left = function() for i = 1, 3 do effect(job, name .. "-left" .. i) end return "l" end,
      right = function()
        for i = 1, 3 do effect(job, name .. "-right" .. i) end
        job:group("inner", function() effect(job, name .. "-inner") end)
        return "r"
      end,
    }
    job:write { path = name, text = made.left .. made.right .. name }
    job:persist_to_workspace { paths = { name } }
    if more then more(job) end
    return { made = made.left .. made.right }
  end }
end
return orch.pipeline {
  worker "a", worker "b",
  worker("c", function(job)
    job:add_jobs { orch.job { name = "late", needs = { "c" }, run = function(late) effect(late, "late") end } }
  end),
  orch.job { name = "all", needs = { "a", "b", "c" }, matrix = { v = { 1, 2 } }, run = function(job)
    job:attach_workspace "in"
    local read = {}
    for _, name in ipairs { "a", "b", "c" } do read[#read + 1] = job:read("in/" .. name) end
    effect(job, "all-" .. job.matrix.v)
    return { read = table.concat(read, " ") }
  end },
}
]]

describe("resume", function()
  setup(function() math.randomseed(os.time()) end)

  it("repeats nothing that is recorded and loses nothing, at 200 random deaths", function()
    deaths.survive(THIRTY_STEPS, deaths.kills(1), 0.12)
  end)

  it("does so with jobs side by side, branches, background steps, retries, added jobs and clean-up",
    function()
    deaths.survive(SIDE_BY_SIDE, deaths.kills(0.5), 0.25)
  end)
end)

describe("a project's state", function()
  local scratch
  before_each(function()
    math.randomseed(os.time())
    scratch = support.scratch()
  end)
  after_each(function() scratch:remove() end)

  local function recipe(text)
    return scratch:write("recipe.lua", "local orch = require 'orch'\n" .. text)
  end

  it("is whole after deaths while it is made", function()
    local path = recipe [[return orch.job { name = "j", run = function(job) job:run "true" end }]]
    for _ = 1, deaths.kills(0.2) do
      for _ = 1, math.random(3) do deaths.mortal(scratch, { "run", path }, nil, 0.012) end
      local result = scratch:orch { "run", path }
      assert.equal(0, result.code, result.all)
      assert.same({ "ok" }, { deaths.query(scratch, "PRAGMA integrity_check")[1].integrity_check })
      assert.equal(0, scratch:orch({ "runs" }).code)
      assert(fs.remove(scratch:path("state")))
    end
  end)

  -- Blobs that a manifest of the index names, and those that none does.
  local function check_store()
    local index = json.decode(assert(fs.read(scratch:path("state/store/index.json"))))
    for _, each in ipairs(index.manifests) do
      local manifest =
        json.decode(assert(fs.read(scratch:path("state/store/blobs/sha256/"
        .. each.digest:sub(8)))))
      for _, layer in ipairs(manifest.layers) do
        assert(fs.stat(scratch:path("state/store/blobs/sha256/" .. layer.digest:sub(8))))
      end
    end
    return #index.manifests
  end

  it("is whole after deaths while old runs are removed, and what can be resumed stays", function()
    local path = recipe [[return orch.pipeline { params = { name = "string" },
  orch.job { name = "a", run = function(job)
    job:write { path = "f", text = job.params.name }
    job:persist_to_workspace { paths = { "f" } } end },
  orch.job { name = "b", needs = { "a" }, run = function(job)
    job:attach_workspace "." job:run("test $(cat f) != held || test -e " .. os.getenv "GO") end } }]]
    local environment = { GO = scratch:path("go") }
    for _ = 1, math.max(1, deaths.kills(0.025)) do
      local child = scratch:start({ "run", path, "name=held" }, environment)
      for _ in child.read, child do end -- it fails, and is made to look killed
      child:wait()
      local held = deaths.query(scratch, "SELECT max(number) AS n FROM runs")[1].n
      local base = db.open(scratch:path("state/orch.db"))
      assert(base:exec("UPDATE runs SET state = 'live' WHERE number = ?", held))
      base:close()
      for i = 1, 6 do
        assert.equal(0, scratch:orch({ "run", path, "name=n" .. held .. i }, environment).code)
      end
      local result
      repeat
        result = deaths.mortal(scratch, { "gc", "--keep", "0", "--days", "0" }, environment, 0.06)
      until result.signal ~= 9
      check_store()
      assert.equal(0, scratch:orch({ "gc", "--keep", "0", "--days", "0" }, environment).code)
      assert.equal(1, check_store())
      assert.equal(3, #fs.list(scratch:path("state/store/blobs/sha256")))
      assert.same({ tostring(held) }, fs.list(scratch:path("state/runs")))
      scratch:write("go", "")
      local resumed = scratch:orch({ "resume", tostring(held) }, environment)
      assert.equal(0, resumed.code, resumed.all)
      assert(fs.remove(environment.GO))
    end
  end)

  it("ends a run that it has no room for, wherever that is; with room the run goes on", function()
    local path = recipe((([[
local function job(name) return orch.job { name = name, run = function(job)
  job:run "echo begun >> EFFECTS"
  for i = 1, 100 do job:write { path = "f", text = ("x"):rep(1000) } end
  job:run "echo done >> EFFECTS"
end } end
return orch.pipeline { job "a", job "b" }]]):gsub("EFFECTS", scratch:path("effects"))))
    local resumed = 0
    for _, size in ipairs { 92, 108, 116, 128, 150, 300 } do
      local script = ([[mkdir -p $ORCH_STATE; mount -t tmpfs -o size=%dk x $ORCH_STATE || exit 77
        timeout 20 $ORCH run %s; echo "code $?"; mount -o remount,size=20m $ORCH_STATE
        if $ORCH runs | grep -q interrupted; then $ORCH resume > /dev/null; echo "resumed $?"; fi]]):format(size, path)
      local result = assert(proc.run { argv = { "unshare", "-m", "sh", "-c", script }, split = true,
        env = { PATH = os.getenv("PATH"), ORCH = support.orch, ORCH_STATE = scratch:path("state"),
          TMPDIR = scratch:path("tmp"), ASAN_OPTIONS = "detect_leaks=0" } })
      if result.code == 77 then return pending("no mounts here") end
      local words = ("%d kB: %s%s"):format(size, result.stdout, result.stderr)
      assert.matches("code 9\n", words)
      assert.matches("full", words)
      if words:find "resumed" then assert.matches("resumed 0", words) end
      resumed = resumed + (words:find "resumed" and 1 or 0)
    end
    assert.is_true(resumed >= 2)
  end)

  it("is told to survive a power cut around effects outside the machine", function()
    local function syncs(verb)
      local path =
        recipe((([[return orch.job { name = "j", run = function(job) for i = 1, 5 do %s end end }]]):format(verb)))
      local trace = scratch:path("trace")
      assert(proc.run { argv = { "strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", trace,
        support.orch, "run", path },
        env = { PATH = os.getenv("PATH"), ORCH_STATE = scratch:path("state"),
          TMPDIR = scratch:path("tmp"),
          ASAN_OPTIONS = "detect_leaks=0" } })
      return select(2, assert(fs.read(trace)):gsub("sync%(%d+%)", ""))
    end
    scratch:write("verbs/outside.lua", [[
-- outside has effects outside the machine.
local orch = require "orch"
return orch.verb { options = {}, external = true, run = function() end }]])
    if not fs.stat("/usr/bin/strace") then return pending("no strace here") end
    syncs "job:run 'true'" -- the database is made
    local inside, outside = syncs "job:run 'true'", syncs "job:outside()"
    assert.is_true(outside >= inside + 10,
      ("%d for steps inside, %d outside"):format(inside, outside))
    assert.is_true(inside <= 4, ("%d for steps inside"):format(inside))
  end)
end)
