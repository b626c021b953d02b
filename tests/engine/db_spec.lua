local db = require "orch.db"
local fs = require "orch.fs"
local task = require "orch.task"

describe("db", function()
  local dir, base
  before_each(function()
    dir = assert(fs.make_temp("/tmp/orch-spec-"))
    base = db.open(dir .. "/t.db")
    assert(base:exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b)"))
  end)
  after_each(function()
    base:close()
    assert(fs.remove(dir))
  end)

  it("gives rows with their types", function()
    local inserted = assert(base:exec("INSERT INTO t (b) VALUES (?), (?), (?), (NULL)", 7, 1.5, "x\0y"))
    assert.equal(4, inserted.changes)
    assert.equal(4, inserted.last_id)
    local rows = assert(base:exec("SELECT a, b FROM t ORDER BY a"))
    assert.same({ 7, 1.5, "x\0y" }, { rows[1].b, rows[2].b, rows[3].b })
    assert.is_nil(rows[4].b)
    assert.equal("integer", math.type(rows[1].b))
  end)

  it("does all of a transaction or nothing", function()
    local _, err = base:transaction {
      { "INSERT INTO t (a, b) VALUES (?, ?)", 1, "one" },
      { "INSERT INTO t (a, b) VALUES (?, ?)", 1, "again" },
    }
    assert.equal("conflict", err.kind)
    assert.equal(0, #base:exec("SELECT * FROM t"))
    local rows = assert(base:transaction {
      { "INSERT INTO t (b) VALUES (?)", "first" },
      { "SELECT count(*) AS n FROM t" },
    })
    assert.equal(1, rows[1].n)
  end)

  it("tells a wrong statement from a wrong place", function()
    local _, wrong = base:exec("SELEKT 1")
    assert.equal("usage", wrong.kind)
    local nowhere = db.open(dir .. "/no/such/t.db")
    local _, err = nowhere:exec("SELECT 1")
    assert.equal("io", err.kind)
    nowhere:close()
    assert.has_error(function() nowhere:exec("SELECT 1") end)
  end)

  it("keeps counters right with many at once", function()
    assert(base:exec("INSERT INTO t VALUES (1, 0)"))
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = task.spawn(function()
        for _ = 1, 5 do assert(base:exec("UPDATE t SET b = b + 1 WHERE a = 1")) end
      end)
    end
    for _, each in ipairs(tasks) do assert.is_true((each:join())) end
    assert.equal(100, base:exec("SELECT b FROM t")[1].b)
  end)

  it("raises for values no database holds", function()
    assert.has_error(function() base:exec("SELECT ?", {}) end)
  end)
end)
