local db = require "orch.db"
local fs = require "orch.fs"
local proc = require "orch.proc"
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
    local inserted =
      assert(base:exec("INSERT INTO t (b) VALUES (?), (?), (?), (NULL)", 7, 1.5, "x\0y"))
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

  it("holds what many statements are made of until they are handed over", function()
    local statements = {}
    for i = 1, 300 do
      statements[i] = { "INSERT INTO t (a, b) VALUES (?, ? || ?)", i, ("x"):rep(i), tostring(i) }
    end
    assert(base:transaction(statements))
    for i, row in ipairs(base:exec("SELECT b FROM t ORDER BY a")) do
      assert.equal(("x"):rep(i) .. i, row.b)
    end
  end)

  it("waits for another that makes it at the same time", function()
    local path <const> = dir .. "/new.db"
    local other <close> = assert(proc.start { argv = { "python3", "-c", [[
import sqlite3, sys, time
base = sqlite3.connect(sys.argv[1], isolation_level=None)
base.execute("CREATE TABLE x (a)")
base.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(0.3)
base.execute("ROLLBACK")]], path } })
    assert.matches("^held", other:read())
    local new = db.open(path)
    assert.equal("wal", assert(new:exec "PRAGMA journal_mode")[1].journal_mode)
    new:close()
  end)

  it("tells a wrong statement from a wrong place", function()
    local _, wrong = base:exec("SELEKT 1")
    assert.equal("usage", wrong.kind)
    local nowhere = db.open(dir .. "/no/such/t.db")
    local _, err = nowhere:exec("SELECT 1")
    assert.equal("io", err.kind)
    assert.matches("no/such/t.db: unable to open database file: No such file or directory",
      err.message, 1, true)
    nowhere:close()
    assert.has_error(function() nowhere:exec("SELECT 1") end)
  end)

  it("tells that there is no room, and does nothing of what was asked for together", function()
    assert(base:exec "PRAGMA max_page_count = 10")
    for _ = 1, 3 do base:post("INSERT INTO t (b) VALUES (?)", ("x"):rep(30000)) end
    local _, err = base:exec "INSERT INTO t (b) VALUES ('small')"
    assert.same({ "io", ("database %s: database or disk is full"):format(dir .. "/t.db") },
      { err.kind, err.message })
    assert.equal(0, base:exec("SELECT count(*) AS n FROM t")[1].n)
  end)

  it("does what is posted in order, and before what is waited for", function()
    for i = 1, 500 do base:post("INSERT INTO t (a, b) VALUES (?, ?)", i, "posted") end
    base:post_now("UPDATE t SET b = 'now' WHERE a = 500")
    base:post("UPDATE t SET b = b || ' and then' WHERE a = 500")
    local rows = assert(base:exec("SELECT count(*) AS n, max(b) AS b FROM t"))
    assert.same({ 500, "posted" }, { rows[1].n, rows[1].b })
    assert.equal("now and then", base:exec("SELECT b FROM t WHERE a = 500")[1].b)
  end)

  it("does what is posted when nothing follows", function()
    base:post("INSERT INTO t (b) VALUES (?)", "posted")
    local other = db.open(dir .. "/t.db")
    local rows
    for _ = 1, 500 do
      task.sleep(0.005)
      rows = assert(other:exec("SELECT b FROM t"))
      if rows[1] then break end
    end
    assert.equal("posted", rows[1].b)
    base:post("UPDATE t SET b = 'closing'")
    base:close()
    assert.equal("closing", other:exec("SELECT b FROM t")[1].b)
    other:close()
  end)

  it("ends the task that opened it when what was given before its release is done", function()
    task.spawn(function()
      local other = db.open(dir .. "/t.db")
      for i = 1, 100 do other:post("INSERT INTO t (a) VALUES (?)", i) end
      other:release()
      other:release()
      assert.has_error(function() other:exec "SELECT 1" end)
    end):join()
    assert.equal(100, #base:exec("SELECT a FROM t"))
  end)

  it("settles what was posted to be done at once", function()
    local other = db.open(dir .. "/t.db")
    for i = 1, 50 do
      base:post_now("INSERT INTO t (a) VALUES (?)", i)
      base:settle()
      assert.equal(i, #other:exec("SELECT a FROM t"))
      base:post("UPDATE t SET b = ?", i)
    end
    other:close()
  end)

  it("tells of a post that failed when it is settled, and ever after", function()
    for _, post in ipairs { "post", "post_now" } do
      local each = db.open(dir .. "/t.db")
      each[post](each, "INSERT INTO absent VALUES (1)")
      each:post_now("INSERT INTO t (b) VALUES (?)", post)
      for _ = 1, 2 do
        local good, failure = pcall(each.settle, each)
        assert.is_false(good)
        assert.matches("no such table: absent", failure.message)
      end
      assert.has_error(function() each:post("DELETE FROM t") end)
      assert.equal(1, #each:exec("SELECT * FROM t WHERE b = ?", post))
      each:close()
    end
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
