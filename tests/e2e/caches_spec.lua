local fs = require "orch.fs"
local support = require "e2e.support"

describe("a cache", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  local function good(body)
    local result = scratch:recipe(body)
    assert.equal(0, result.code, result.all)
    return result.out
  end

  -- A run that saves this text under the key and a hash of the lock.
  local function save(lock, text)
    return good(([[
job:write { path = "lock", text = %q }
job:write { path = "deps/f", text = %q }
job:save_cache { key = "d", files = { "lock" }, paths = { "deps" } }]]):format(lock, text))
  end

  -- What a run with this lock finds.
  local function restore(lock, expected, more)
    return good(([[
job:write { path = "lock", text = %q }
local found = job:restore_cache { key = "d", files = { "lock" }, %s }
local text = found and job:read "deps/f" .. (found.exact and "" or " alike") or "none"
assert(text == %q, text)]]):format(lock, more or "", expected))
  end

  it("is brought by its key, else by the newest that begins alike, else not at all", function()
    restore("1", "none")
    save("1", "one")
    restore("1", "one")
    restore("2", "one alike")
    require "orch.task".sleep(0.02)
    save("2", "two")
    restore("1", "one")
    restore("3", "two alike")
    good 'assert(job:restore_cache { key = "e" } == false)'
    good 'assert(job:restore_cache { key = "e", fallback = { "x", "d" } }.exact == false)'
  end)

  it("is written once", function()
    assert.matches("[12] entr", save("1", "one"))
    assert.matches("is there already", save("1", "other"))
    restore("1", "one")
  end)

  it("is whole when jobs side by side save it", function()
    local path = scratch:write("many.lua", [[local orch = require "orch"
return orch.job { name = "j", matrix = { n = { 1, 2, 3, 4 } }, run = function(job)
  job:run "mkdir deps; seq 1 200000 > deps/f"
  job:save_cache { key = "d", paths = { "deps" } }
end }]])
    local result = scratch:orch { "run", path, "-j", "4" }
    assert.equal(0, result.code, result.all)
    good 'assert(job:restore_cache { key = "d" }.exact) job:run "seq 1 200000 | cmp - deps/f"'
    assert.equal(1, #fs.list(scratch:path("state/caches")))
  end)

  it("that is damaged is none, and goes", function()
    save("1", "one")
    local dir = scratch:path("state/caches")
    local names = fs.list(dir)
    assert.equal(1, #names)
    assert(fs.write(dir .. "/" .. names[1], "no archive"))
    assert.matches("it is removed", restore("1", "none"))
    assert.same({}, fs.list(dir))
  end)

  it("that is cut short leaves nothing of itself, and one that swells is not begun", function()
    good [[job:run "mkdir deps; echo a > deps/a; head -c 3000000 /dev/urandom > deps/b"
      job:save_cache { key = "d", paths = { "deps" } }]]
    local path = scratch:path("state/caches/d.tar")
    assert(fs.write(path, (assert(fs.read(path)):sub(1, 2000000))))
    assert.matches("it is removed", good [[assert(job:restore_cache { key = "d" } == false)
      job:run "test ! -e deps"]])
    local bomb = assert(require "orch.proc".run { cwd = scratch:path("state"),
      argv = { "sh", "-c", [[truncate -s 5G f
        tar -c f | head -c 4096 | zstd -q > caches/d.tar; rm f]] } })
    assert.equal(0, bomb.code, bomb.stdout)
    local result = scratch:recipe "job:restore_cache { key = 'd' }"
    assert.equal(8, result.code, result.all)
    assert.matches("d%.tar holds more than 4294967296 bytes", result.err)
    assert.same({}, fs.list(scratch:path("state/runs/3/jobs/job/work")) or {})
  end)

  it("goes with gc when it is old", function()
    save("1", "one")
    assert.matches("nothing to remove", scratch:orch({ "gc" }).out)
    assert.matches("would remove cache d%-",
      scratch:orch({ "gc", "--days", "0", "--keep", "9", "--dry-run" }).out)
    assert.matches("removed cache d%-", scratch:orch({ "gc", "--days", "0", "--keep", "9" }).out)
    restore("1", "none")
    local half = scratch:write("state/caches/d.tar.0123456789abcdef", "")
    scratch:orch { "gc" }
    assert.is_truthy(fs.stat(half))
    assert(assert(require "orch.proc".run { argv = { "touch", "-d", "2 days ago", half } }).code
      == 0)
    scratch:orch { "gc" }
    assert.is_nil(fs.stat(half))
  end)

  it("has a key that can stand in a path, and names what is not there", function()
    for key, words in pairs { ["../x"] = "a key is at most", [""] = "a key is at most" } do
      local result = scratch:recipe(('job:restore_cache { key = %q }'):format(key))
      assert.equal(2, result.code, result.all)
      assert.is_truthy(result.err:find(words, 1, true), result.err)
    end
    local result =
      scratch:recipe 'job:write { path = "package-lock.json", text = "" } job:save_cache { key = "k", files = { "packge-lock.json" }, paths = { "x" } }'
    assert.equal(5, result.code, result.all)
    assert.is_truthy(result.err:find("did you mean 'package-lock.json'?", 1, true), result.err)
  end)
end)
