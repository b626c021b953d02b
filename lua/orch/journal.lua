-- The record of one run: what has been done, so that a resumed run need not do it again.
--
-- Starts are posted; an end is on disk before the step returns. Around verbs with effects outside the machine the
-- record survives a power cut too (synchronous FULL).
local fs = require "orch.fs"
local record = require "orch.record"
local task = require "orch.task"

local Journal = {}
Journal.__index = Journal

local function new(state, number)
  return setmetatable({ state = state, base = state.base, number = number, seq = 0, recorded = {},
    open = {}, jobs = {}, log_count = 0 }, Journal)
end

--- A new run's row; its number is the next of the project.
---@param state table
---@param run { id: string, recipe: string, digest: string, project: string, params: table, options: table }
local function begin(state, run)
  local rows = state:rows([[INSERT INTO runs (id, recipe, digest, project, params, options, state, started)
    VALUES (?, ?, ?, ?, ?, ?, 'live', ?)]], run.id, run.recipe, run.digest, run.project,
    record.encode(run.params), record.encode(run.options), task.time())
  return new(state, rows.last_id)
end

local function branch_of(job_branches, branch)
  job_branches[branch] = job_branches[branch] or { finished = 0 }
  return job_branches[branch]
end

--- Goes on with a run: reads what it has recorded. from: the place of a step that, with all after it in its job,
--- is to be done anew.
local function reopen(state, number, from)
  local self = new(state, number)
  if from then self:forget(from) end
  state:rows("UPDATE runs SET state = 'live', ended = NULL, error = NULL WHERE number = ?", number)
  self.resumed = true
  self.branches = {}
  for _, step in ipairs(state:rows("SELECT * FROM steps WHERE run = ? ORDER BY seq", number)) do
    self.recorded[step.id] = step
    self.seq = math.max(self.seq, step.seq)
    if step.log then self.log_count = math.max(self.log_count, tonumber(step.log:match("%d+")) or 0) end
    if step.state == "success" and step.verb ~= "group" then
      local branch = branch_of(self.branches, step.branch)
      branch.finished = branch.finished + 1
    end
  end
  for _, each in ipairs(state:rows("SELECT * FROM jobs WHERE run = ?", number)) do self.jobs[each.name] = each end
  return self
end

--- Takes a step and all that was recorded after it in its job out of the record, and the jobs after it.
function Journal:forget(from)
  local rows = self.state:rows("SELECT job, seq FROM steps WHERE run = ? AND id = ?", self.number, from)
  if not rows[1] then return false end
  local job, seq = rows[1].job, rows[1].seq
  assert(self.base:transaction {
    { "DELETE FROM layers WHERE run = ? AND step IN (SELECT id FROM steps WHERE run = ? AND job = ? AND seq >= ?)",
      self.number, self.number, job, seq },
    { "DELETE FROM steps WHERE run = ? AND job = ? AND seq >= ?", self.number, job, seq },
    { "UPDATE jobs SET state = 'failed' WHERE run = ? AND name = ?", self.number, job },
  })
  return true
end

--- Takes all that a job has recorded out of the record, but for the step that runs: its files are lost.
---@param job string
---@param except string place
---@return boolean any
function Journal:forget_job(job, except)
  local forgotten = {}
  for id, each in pairs(self.recorded) do
    if each.job == job and id ~= except then forgotten[id] = each end
  end
  if not next(forgotten) then return false end
  assert(self.base:transaction {
    { "DELETE FROM layers WHERE run = ? AND job = ?", self.number, job },
    { "DELETE FROM steps WHERE run = ? AND job = ? AND id <> ?", self.number, job, except },
  })
  for id, each in pairs(forgotten) do
    self.recorded[id] = nil
    branch_of(self.branches, each.branch).finished = 0
  end
  return true
end

-- --- steps ------------------------------------------------------------------------------------------------

function Journal:next_seq()
  self.seq = self.seq + 1
  return self.seq
end

-- how: "post" does not wait, "exec" waits until it is recorded, "exec_durable" until a power cut cannot undo it.
local function put(self, how, ...)
  if how == "post" then return self.base:post(...) end
  assert(self.base[how](self.base, ...))
end

local START <const> = [[INSERT OR REPLACE INTO steps (run, id, seq, job, parent, branch, verb, title, place, options,
  state, again, started) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?, ?)]]

---@param step { id: string, job: string, parent: string, branch: string, verb: string, title: string, where?: string, options: string, again: boolean, external: boolean }
function Journal:step_start(step)
  local recorded = self.recorded[step.id]
  step.seq = recorded and recorded.seq or self:next_seq()
  put(self, step.external and "exec_durable" or "post", START, self.number, step.id, step.seq, step.job, step.parent, step.branch, step.verb, step.title,
    step.where, step.options, step.again, task.time())
end

local FINISH <const> = [[UPDATE steps SET state = ?, result = ?, artifacts = ?, ended = ?, error = ?, log = ?
  WHERE run = ? AND id = ?]]

--- The end of a step; waits until it is recorded, except for groups, which are entered again anyway.
function Journal:step_end(step, state, result, message)
  local text = state == "success" and record.encode(result) or nil
  local artifacts = step.artifacts and record.encode(step.artifacts) or nil
  local how = step.verb == "group" and "post" or step.external and "exec_durable" or "exec"
  put(self, how, FINISH, state, text, artifacts, task.time(), message, step.log, self.number, step.id)
end

local ENDINGS <const> = { running = "it was interrupted", failed = "it had failed", cancelled = "it was cancelled",
  hold = "it waited for an answer" }

--- What resume does with a call: the recorded step that answers it, or nil and a reason to do it.
---@param place orch.Scope
---@param verb string
---@param options string fingerprint
---@return table? step, string? reason
function Journal:answer(place, verb, options)
  if not self.resumed then return nil end
  local area = place:area()
  if area.anew then return nil, area.anew end
  local step, branch = self.recorded[place.id], branch_of(self.branches, area.id)
  if not step then
    if branch.finished == 0 then return nil, "it had not begun" end
    area.anew = ("%s is new: what follows it in %s is done anew"):format(place.id, area.id)
    return nil, area.anew
  end
  if step.state == "success" then branch.finished = branch.finished - 1 end
  if step.verb ~= verb or step.options ~= options then
    area.anew = ("%s was called with other options: it and what follows it in %s is done anew"):format(place.id, area.id)
    return nil, area.anew
  end
  if step.state ~= "success" then return nil, ENDINGS[step.state] end
  if step.again == 1 then return nil, "it is done again on every resume" end
  if not step.result then return nil, "its result cannot be recorded" end
  return step
end

-- --- jobs and the run -----------------------------------------------------------------------------------------

function Journal:job_start(name, attempt)
  self.base:post([[INSERT OR REPLACE INTO jobs (run, name, attempt, state, started) VALUES (?, ?, ?, 'running', ?)]],
    self.number, name, attempt, task.time())
end

--- Posted: should it be lost, the job's steps are on record, and a resumed run answers them all.
function Journal:job_end(name, state, outputs, message)
  self.base:post([[INSERT INTO jobs (run, name, attempt, state, outputs, ended, error) VALUES (?, ?, 1, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET state = excluded.state, outputs = excluded.outputs, ended = excluded.ended,
    error = excluded.error]], self.number, name, state, outputs, task.time(), message)
end

--- A value that the run read from outside once and keeps: git's, as recorded or as f gives it now.
function Journal:once(f)
  local row = self.state:rows("SELECT pipeline FROM runs WHERE number = ?", self.number)[1]
  if row.pipeline then return record.decode(row.pipeline) end
  local value = f()
  assert(self.base:exec("UPDATE runs SET pipeline = ? WHERE number = ?", record.encode(value), self.number))
  return value
end

function Journal:add_layer(step, job, layer)
  assert(self.base:exec([[INSERT OR REPLACE INTO layers (run, step, job, digest, diff_id, size, entries, paths)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)]], self.number, step, job, layer.digest, layer.diff_id, layer.size, layer.entries,
    record.encode(layer.paths)))
end

--- The layers of finished steps, in the order in which they were made.
function Journal:layers()
  local rows = self.state:rows([[SELECT layers.* FROM layers JOIN steps ON steps.run = layers.run AND steps.id = layers.step
    WHERE layers.run = ? AND steps.state = 'success' ORDER BY steps.seq]], self.number)
  for _, each in ipairs(rows) do each.paths = record.decode(each.paths) end
  return rows
end

--- A name for a new log file, below the run's directory.
function Journal:log_name()
  self.log_count = self.log_count + 1
  return ("logs/%d.log"):format(self.log_count)
end

function Journal:open_log(name)
  if not self.logs_made then
    assert(fs.make_dir(self.state:run_dir(self.number) .. "/logs", tonumber("700", 8)))
    self.logs_made = true
  end
  return assert(io.open(("%s/%s"):format(self.state:run_dir(self.number), name), "w"))
end

function Journal:run_end(state, message)
  assert(self.base:exec("UPDATE runs SET state = ?, ended = ?, error = ? WHERE number = ?", state, task.time(), message,
    self.number))
end

return { begin = begin, reopen = reopen }
