-- What a project's runs leave behind: the database and the directories, outside the project.
local db = require "orch.db"
local fs = require "orch.fs"

local VERSION <const> = 1

local SCHEMA <const> = {
  { [[CREATE TABLE runs (
    number   INTEGER PRIMARY KEY AUTOINCREMENT, -- the pipeline's number, counted per project
    id       TEXT NOT NULL UNIQUE,
    recipe   TEXT NOT NULL,
    params   TEXT NOT NULL,                     -- JSON; secrets by name
    commit_  TEXT,
    state    TEXT NOT NULL,                     -- live, success, failed, cancelled
    started  REAL NOT NULL,
    ended    REAL,
    error    TEXT
  )]] },
  { "PRAGMA user_version = " .. VERSION },
}

local State = {}
State.__index = State

local function place(project)
  local given = os.getenv("ORCH_STATE")
  if given and given ~= "" then return given end
  local base = os.getenv("XDG_STATE_HOME")
  if not base or base == "" then base = (os.getenv("HOME") or "/tmp") .. "/.local/state" end
  return ("%s/orch/%s"):format(base, project.key)
end

function State:prepare()
  local rows = assert(self.base:exec("PRAGMA user_version"))
  local version = rows[1].user_version
  if version == 0 then
    -- Two processes may come first at once: the loser's CREATE TABLE fails and it reads again.
    local made, failure = self.base:transaction(SCHEMA)
    if not made and assert(self.base:exec("PRAGMA user_version"))[1].user_version == 0 then
      error(failure, 0)
    end
  elseif version > VERSION then
    error(require "orch.error".new { kind = "conflict",
      message = ("%s/orch.db was written by a newer orch (format %d, this one knows %d)")
        :format(self.dir, version, VERSION) }, 0)
  end
end

--- Opens, and makes if need be, the state of a project.
---@param project orch.Project
local function open(project)
  local dir = place(project)
  local good, failure = fs.make_dir(dir, tonumber("700", 8))
  if not good then error(failure, 0) end
  local self = setmetatable({ dir = dir, base = db.open(dir .. "/orch.db") }, State)
  self:prepare()
  return self
end

--- Records a new run; its number is the next of the project.
---@param run { id: string, recipe: string, params: string, started: number }
---@return integer number
function State:begin_run(run)
  local rows = assert(self.base:exec(
    "INSERT INTO runs (id, recipe, params, state, started) VALUES (?, ?, ?, 'live', ?)",
    run.id, run.recipe, run.params, run.started))
  return rows.last_id
end

function State:end_run(number, state, ended, message)
  assert(self.base:exec("UPDATE runs SET state = ?, ended = ?, error = ? WHERE number = ?",
    state, ended, message, number))
end

function State:run_dir(number) return ("%s/runs/%d"):format(self.dir, number) end

function State:close() self.base:close() end

return { open = open }
