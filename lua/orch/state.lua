-- A project's state, outside the project: the database, the run directories, the store.
local db = require "orch.db"
local error_value = require "orch.error"
local fs = require "orch.fs"
local task = require "orch.task"

local LOOK_SECONDS <const> = 0.5

-- state of a run: live (while its lock is held; else it was interrupted), hold, success, failed,
-- cancelled, discarded. Times are seconds since 1970. Texts of values are as record.lua writes
-- them.
local SCHEMA <const> = {
  { [[CREATE TABLE runs (
    number    INTEGER PRIMARY KEY AUTOINCREMENT, -- the pipeline's number, counted per project
    id        TEXT NOT NULL UNIQUE,
    recipe    TEXT NOT NULL,                     -- absolute path
    digest    TEXT NOT NULL,                     -- not used any more: see files
    project   TEXT NOT NULL,
    params    TEXT NOT NULL,
    options   TEXT NOT NULL,                     -- of the command: jobs, keep_going, slots
    pipeline  TEXT,                              -- git values, once a job has asked
    state     TEXT NOT NULL,
    started   REAL NOT NULL,
    ended     REAL,
    error     TEXT
  )]] },
  { [[CREATE TABLE jobs (
    run     INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    name    TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    state   TEXT NOT NULL,                       -- running, success, failed, cancelled, not_run
    started REAL,
    ended   REAL,
    outputs TEXT,
    error   TEXT,
    PRIMARY KEY (run, name)
  ) WITHOUT ROWID]] },
  { [[CREATE TABLE steps (
    run       INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    id        TEXT NOT NULL,                     -- its place: job/group/branch/verb#n
    seq       INTEGER NOT NULL,
    job       TEXT NOT NULL,
    parent    TEXT NOT NULL,
    branch    TEXT NOT NULL,                     -- the innermost job or orch.all branch it is in
    verb      TEXT NOT NULL,
    title     TEXT NOT NULL,
    place     TEXT,                              -- file:line of the call
    options   TEXT NOT NULL,                     -- fingerprint
    state     TEXT NOT NULL,                     -- running, success, failed, cancelled
    again     INTEGER NOT NULL,                  -- done anew on resume
    result    TEXT,
    artifacts TEXT,
    started   REAL NOT NULL,
    ended     REAL,
    error     TEXT,
    log       TEXT,                              -- file below the run's directory
    PRIMARY KEY (run, id)
  ) WITHOUT ROWID]] },
  { [[CREATE TABLE layers (
    run     INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    step    TEXT NOT NULL,
    job     TEXT NOT NULL,
    digest  TEXT NOT NULL,
    diff_id TEXT NOT NULL,
    size    INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    paths   TEXT NOT NULL,
    PRIMARY KEY (run, step)
  ) WITHOUT ROWID]] },
}

-- What each version of the format adds to the one before; each is done whole or not at all, with
-- its user_version. A run that an older orch has begun can be gone on with.
local VERSIONS <const> = {
  SCHEMA,
  { -- the text of each is kept below the run's directory, as recipe/DIGEST.lua
    { [[CREATE TABLE files (
    run    INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    path   TEXT NOT NULL,                        -- of the recipe, a module or a verb
    digest TEXT NOT NULL,                        -- FNV-1a of its text
    seq    INTEGER NOT NULL,                     -- in the order in which they were first read
    PRIMARY KEY (run, path, digest)
  ) WITHOUT ROWID]] },
  },
  { -- the order in which jobs began and came to what other jobs made something of; 0: they have not
    { "ALTER TABLE jobs ADD COLUMN began INTEGER NOT NULL DEFAULT 2" },
    { "ALTER TABLE jobs ADD COLUMN stands INTEGER NOT NULL DEFAULT 0" },
    { "UPDATE jobs SET stands = 1 WHERE state = 'success'" },
  },
  { -- the jobs that the last session knew of: those of its beginning, and each time some were added
    { [[CREATE TABLE planned (
    run   INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    seq   INTEGER NOT NULL,
    names TEXT NOT NULL,                         -- in the order of the graph
    PRIMARY KEY (run, seq)
  ) WITHOUT ROWID]] },
  },
}

local State = {}
State.__index = State

local function place(project)
  local given = os.getenv("ORCH_STATE")
  if given and given ~= "" then return fs.join(assert(fs.cwd()), given) end
  local base = os.getenv("XDG_STATE_HOME") or ""
  if base:sub(1, 1) ~= "/" then -- one that is relative is invalid (XDG Base Directory, "Basics")
    local home = os.getenv("HOME") or ""
    if home == "" then
      error(error_value.new { kind = "missing", message = "HOME is not set: where are runs recorded?",
        hint = "set HOME, or ORCH_STATE=DIR" }, 0)
    end
    base = home .. "/.local/state"
  end
  return ("%s/orch/%s"):format(base, project.key)
end

local function user_version(base)
  return assert(base:exec("PRAGMA user_version"))[1].user_version
end

-- Two processes may come first at once: the loser's CREATE TABLE fails and it looks again.
local function raise_to(base, version)
  local statements = table.move(VERSIONS[version], 1, #VERSIONS[version], 1, {})
  statements[#statements + 1] = { "PRAGMA user_version = " .. version }
  local made, failure = base:transaction(statements)
  if not made and user_version(base) < version then error(failure, 0) end
end

function State:prepare()
  local version = user_version(self.base)
  if version > #VERSIONS then
    error(error_value.new { kind = "conflict",
      message = ("%s/orch.db was written by a newer orch (format %d; this one knows %d)")
        :format(self.dir, version,
          #VERSIONS), hint = "use that orch, or give another state: ORCH_STATE=DIR" }, 0)
  end
  for next_version = version + 1, #VERSIONS do raise_to(self.base, next_version) end
end

--- Opens, and makes if need be, a state in that directory.
---@param dir string
---@param base? table what `begin` gave
local function open_at(dir, base)
  local self
  local opened, failure = pcall(function()
    assert(fs.make_dir(dir, tonumber("700", 8)))
    self = setmetatable({ dir = dir, base = base or db.open(dir .. "/orch.db") }, State)
    self:prepare()
  end)
  if opened then return self end
  if error_value.is(failure) and not failure.hint and failure.kind ~= "cancelled" then
    failure.hint = ("the record of runs is in %s; ORCH_STATE=DIR keeps it elsewhere"):format(dir)
  end
  error(failure, 0)
end

--- Opens, and makes if need be, the state of a project.
---@param project orch.Project
---@param base? table what `begin` gave
local function open(project, base) return open_at(place(project), base) end

--- Begins to open the state of a project, if there is one: reading its log takes as long as loading
--- a recipe, and is done meanwhile.
---@param project orch.Project
---@return table? base for `open`
local function begin(project)
  local path = place(project) .. "/orch.db"
  return fs.stat(path) and db.open(path)
end

--- Rows of a statement; raises what fails.
function State:rows(sql, ...) return assert(self.base:exec(sql, ...)) end

local PAGE <const> = 20000
local KEYS <const> = { steps = "id", jobs = "name", layers = "step" }

--- All rows of a run in "steps", "jobs" or "layers", however many, by their key.
---@param name string of the table
---@param number integer
---@return table[]
function State:all(name, number)
  local key = KEYS[name]
  local sql = ("SELECT * FROM %s WHERE run = ? AND %s > ? ORDER BY %s LIMIT %d"):format(name, key,
    key, PAGE)
  local all, last = {}, ""
  repeat
    local rows = self:rows(sql, number, last)
    table.move(rows, 1, #rows, #all + 1, all)
    last = rows[#rows] and rows[#rows][key]
  until #rows < PAGE
  return all
end

--- All steps of a run, in the order in which they began.
function State:steps(number)
  local all = self:all("steps", number)
  table.sort(all, function(a, b) return a.seq < b.seq end)
  return all
end

function State:run_dir(number) return ("%s/runs/%d"):format(self.dir, number) end

--- The lock of a run is held while it is live; nil when another process holds it.
---@param number integer
---@param wait? boolean a moment, for who only looks whether it is held
function State:lock_run(number, wait)
  local dir = self:run_dir(number)
  assert(fs.make_dir(dir, tonumber("700", 8)))
  local deadline = task.clock() + (wait and LOOK_SECONDS or 0)
  while true do
    local lock, failure = fs.lock(dir .. "/lock")
    if lock then return lock end
    if failure.kind ~= "conflict" then error(failure, 0) end
    if task.clock() >= deadline then return nil end
    task.sleep(0.01)
  end
end

--- The same; raises when another process holds it.
function State:hold_run(number)
  local lock = self:lock_run(number, true)
  if lock then return lock end
  local holder = (fs.read(self:run_dir(number) .. "/lock") or ""):match("%d+")
  error(error_value.new { kind = "conflict",
    message = ("run %d is in use%s: it is gone on with, or somebody has a shell in it (orch shell)")
      :format(number, holder and (" by process %s"):format(holder) or "") }, 0)
end

--- The number of a new run, and its lock: held before the run is on record, so that nobody takes it
--- for interrupted.
function State:claim()
  while true do
    local number =
      self:rows("SELECT coalesce(max(seq), 0) + 1 AS number FROM sqlite_sequence WHERE name = 'runs'")[1].number
    local lock = self:lock_run(number)
    if lock then return number, lock end
    task.sleep(0.002)
  end
end

--- A run's state as a person means it: one that is recorded live but has no process was
--- interrupted.
function State:state_of(run)
  if run.state ~= "live" then return run.state end
  local lock = self:lock_run(run.number)
  if not lock then return "live" end
  lock:release()
  return "interrupted"
end

--- The run of that number, or the newest; raises when there is none.
---@param number? integer
function State:run(number)
  local rows = number and self:rows("SELECT * FROM runs WHERE number = ?", number)
    or self:rows("SELECT * FROM runs ORDER BY number DESC LIMIT 1")
  if rows[1] then return rows[1] end
  error(error_value.new { kind = "missing",
    message = number and ("there is no run %d"):format(number) or "this project has no runs yet",
    hint = "`orch runs` lists them" }, 0)
end

--- Deletes the job directories of a run, and what people answered; aside first, so that no half of
--- them is ever resumed in.
function State:remove_jobs(number)
  local dir, aside = self:run_dir(number) .. "/jobs", ("%s/.done-%d"):format(self.dir, number)
  local function remove(path) -- without the threads that deleting takes, where nothing is there
    if fs.stat(path) then assert(fs.remove(path)) end
  end
  remove(self:run_dir(number) .. "/answers")
  remove(aside)
  if fs.stat(dir) then
    assert(fs.rename(dir, aside))
    assert(fs.remove(aside))
  end
end

function State:close() self.base:close() end

--- Closes while the caller does something else.
function State:release() self.base:release() end

return { open = open, open_at = open_at, begin = begin }
