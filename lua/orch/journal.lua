-- The record of one run: what has been done, so that a resumed run need not do it again.
--
-- Starts are posted; an end is recorded before the next step begins, while that is prepared. Around
-- verbs with effects outside the machine the record survives a power cut too (synchronous FULL).
local fs = require "orch.fs"
local record = require "orch.record"
local replay = require "orch.replay"
local sources = require "orch.sources"
local standing = require "orch.standing"
local task = require "orch.task"

local GROUPS_MAX <const> = 256 -- begun before all that was posted has to be written
-- in place of a result: the step ended the job; no value is encoded so
local HALTED <const> = '{"$halt":true}'

local POSTS_MAX <const> = 4096 -- that may wait for the database's thread, on end

local Journal = { answer = replay.answer, keep_source = sources.keep, fell = standing.fell,
  begun_after = standing.begun_after }
Journal.__index = Journal

local function new(state, number, lock)
  return setmetatable({ state = state, base = state.base, number = number, lock = lock, seq = 0,
    recorded = {},
    below = {}, of_job = {}, areas = {}, forgotten = {}, holding = {}, jobs = {}, sources = {},
    count = 0, began = {}, stands = {}, posted = 0 }, Journal)
end

local NEW_RUN <const> =
  [[INSERT INTO runs (number, id, recipe, digest, project, params, options, state, started)
  VALUES (?, ?, ?, '', ?, ?, ?, 'live', ?)]]

--- A new run's row; its number is the next of the project, and locked before others can see it.
---@param state table
---@param run { id: string, recipe: string, project: string, params: table, options: table }
local function begin(state, run)
  while true do
    local number, lock = state:claim()
    local rows, failure = state.base:exec(NEW_RUN, number, run.id, run.recipe, run.project,
      record.encode(run.params), record.encode(run.options), task.time())
    if rows then return new(state, number, lock) end
    lock:release()
    if failure.kind ~= "conflict" then error(failure, 0) end
  end
end

--- Goes on with a run: reads what it has recorded. from: the place of a step that, with all after
--- it in its job, is to be done anew. recipe: where it is now.
local function reopen(state, number, from, recipe)
  local self = new(state, number, state:hold_run(number))
  if from then self:forget(from) end
  state:rows("UPDATE runs SET state = 'live', recipe = coalesce(?, recipe), ended = NULL, error = NULL WHERE number = ?",
    recipe, number)
  self.resumed = true
  replay.read(self)
  standing.read(self)
  sources.read(self)
  return self
end

-- What is recorded of a run, to look at only.
local function look(state, number)
  local self = new(state, number)
  replay.read(self)
  standing.read(self)
  return self
end

-- The step, those that hold it, and what was recorded after it in its job.
local FROM <const> =
  "run = ?1 AND job = ?2 AND (seq >= ?3 OR substr(?4, 1, length(id) + 1) = id || '/')"

--- Takes a step and all that was recorded after it in its job out of the record.
function Journal:forget(from)
  local rows = self.state:rows("SELECT job, seq FROM steps WHERE run = ? AND id = ?", self.number,
    from)
  if not rows[1] then return end
  local job, seq = rows[1].job, rows[1].seq
  for _,
    each in ipairs(self.state:rows("SELECT id, seq FROM steps WHERE " .. FROM, self.number, job,
    seq, from)) do
    self.forgotten[each.id] = "--from asks for it"
    -- what is before it in there still counts
    if each.seq < seq then self.holding[each.id] = each.seq end
  end
  assert(self.base:transaction {
    { "DELETE FROM layers WHERE run = ?1 AND step IN (SELECT id FROM steps WHERE " .. FROM .. ")",
      self.number, job,
      seq, from },
    { "DELETE FROM steps WHERE " .. FROM, self.number, job, seq, from },
    { "UPDATE jobs SET state = 'failed', stands = 0 WHERE run = ? AND name = ?", self.number, job },
  })
end

--- Takes a whole job out of the record.
---@param name string
---@param reason string that --why tells
---@param except? string place of a step that runs, and stays
---@return boolean was there anything?
function Journal:forget_job(name, reason, except)
  local found = not except and self.jobs[name] ~= nil
  for _, step in ipairs(self.of_job[name] or {}) do
    if self.recorded[step.id] == step and step.id ~= except then
      self.recorded[step.id], self.forgotten[step.id], found = nil, reason, true
      self.areas[step.branch] = nil
    end
  end
  if not found then return false end
  assert(self.base:transaction {
    { "DELETE FROM layers WHERE run = ? AND job = ?", self.number, name },
    { "DELETE FROM steps WHERE run = ? AND job = ? AND id <> ?", self.number, name, except or "" },
    { except and "SELECT ?, ?" or "DELETE FROM jobs WHERE run = ? AND name = ?", self.number,
      name },
  })
  if except then self:fell(name) else standing.forget(self, name) end
  return true
end

--- Takes the jobs that an earlier session had, and this one has not, out of the record.
---@param known table<string, any> names that stay
---@return string[] the others
function Journal:forget_others(known)
  local names = {}
  for name in pairs(self.jobs) do
    if not known[name] then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do self:forget_job(name, "it is no longer in the recipe") end
  return names
end

-- --- steps ---------------------------------------------------------------------------------------

function Journal:next_seq()
  self.seq = self.seq + 1
  return self.seq
end

-- how: "post" and "post_now" do not wait, unless the database has fallen far behind; "exec_durable"
-- waits until a power cut cannot undo it.
local function put(self, how, ...)
  self.posted = how == "post" and self.posted + 1 or 0
  if self.posted == POSTS_MAX then how, self.posted = "exec", 0 end
  if how == "post" or how == "post_now" then return self.base[how](self.base, ...) end
  assert(self.base[how](self.base, ...))
end

local START <const> =
  [[INSERT OR REPLACE INTO steps (run, id, seq, job, parent, branch, verb, title, place, options,
  state, again, started) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?, ?)]]

---@param step { id: string, job: string, parent: string, branch: string, verb: string, title: string, where?: string, options: string, again: boolean, external: boolean }
function Journal:step_start(step)
  local recorded = self.recorded[step.id]
  step.seq = recorded and recorded.seq or self.holding[step.id] or self:next_seq()
  self.forgotten[step.id] = nil
  if step.verb ~= "group" then replay.begin(self, step.branch, recorded, step.seq) end
  if step.verb ~= "group" or step.seq % GROUPS_MAX == 0 then self.base:settle() end
  put(self, step.external and "exec_durable" or "post", START, self.number, step.id, step.seq,
    step.job, step.parent, step.branch, step.verb, step.title,
    step.where, step.options, step.again, task.time())
end

local FINISH <const> =
  [[UPDATE steps SET state = ?, result = ?, artifacts = ?, ended = ?, error = ?, log = ?
  WHERE run = ? AND id = ?]]

--- A value as text for the record; nil when it cannot be brought back, or holds the value of a
--- secret.
---@return string?
function Journal:encode(value)
  local text = record.encode(value)
  if text and self.masker and self.masker:apply(text) ~= text then return nil end
  return text
end

--- The end of a step. No step begins before it is recorded; groups are entered again anyway.
--- result: its failure's fields when it failed, or was cancelled because another branch failed.
function Journal:step_end(step, state, result, message)
  local kept = state == "success" or state == "failed" or state == "cancelled" and result
    and result.branch
  local text = step.halted and HALTED or kept and self:encode(result) or nil
  local artifacts = step.artifacts and self:encode(step.artifacts) or nil
  local how = step.verb == "group" and "post" or step.external and "exec_durable" or "post_now"
  put(self, how, FINISH, state, text, artifacts, task.time(), message, step.log, self.number,
    step.id)
end

-- --- jobs and the run ----------------------------------------------------------------------------

--- Jobs that the run has to do, for who looks at it: at its beginning, and whenever some are added.
---@param names string[]
function Journal:plan(names)
  self.plans = (self.plans or 0) + 1
  if self.plans == 1 then put(self, "post", "DELETE FROM planned WHERE run = ?", self.number) end
  put(self, "post", "INSERT INTO planned VALUES (?, ?, ?)", self.number, self.plans,
    record.encode(names))
end

function Journal:job_start(name, attempt)
  standing.begin(self, name)
  put(self, "post",
    [[INSERT INTO jobs (run, name, attempt, state, started, began) VALUES (?, ?, ?, 'running', ?, ?)
    ON CONFLICT DO UPDATE SET attempt = excluded.attempt, state = 'running', started = excluded.started, ended = NULL,
    outputs = NULL, error = NULL]], self.number, name, attempt, task.time(), self.began[name])
end

function Journal:job_attempt(name, attempt)
  put(self, "post", "UPDATE jobs SET attempt = ? WHERE run = ? AND name = ?", attempt, self.number,
    name)
end

--- Posted: should it be lost, the job's steps are on record, and a resumed run answers them all.
--- settled: it has come to what other jobs may make something of.
function Journal:job_end(name, state, outputs, message, settled)
  standing.begin(self, name)
  if settled then standing.settle(self, name) end
  put(self, "post",
    [[INSERT INTO jobs (run, name, attempt, state, outputs, ended, error, began, stands)
    VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state, outputs = excluded.outputs,
    ended = excluded.ended, error = excluded.error, stands = excluded.stands]], self.number, name, state, outputs,
    task.time(), message, self.began[name], self.stands[name] or 0)
end

--- Steps whose failure has ended their job, though the body did something more: a resumed run does
--- them again.
---@param places string[]
function Journal:fatal(places)
  for _, id in ipairs(places) do
    put(self, "post",
      "UPDATE steps SET result = NULL WHERE run = ? AND id = ? AND state <> 'success'", self.number,
      id)
  end
end

--- A value that the run read from outside once and keeps: git's, as recorded or as f gives it now.
function Journal:once(f)
  local row = self.state:rows("SELECT pipeline FROM runs WHERE number = ?", self.number)[1]
  if row.pipeline then return record.decode(row.pipeline) end
  local value = f()
  assert(self.base:exec("UPDATE runs SET pipeline = ? WHERE number = ?", record.encode(value),
    self.number))
  return value
end

function Journal:add_layer(step, job, layer)
  assert(self.base:exec([[INSERT OR REPLACE INTO layers (run, step, job, digest, diff_id, size, entries, paths)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)]], self.number, step, job, layer.digest, layer.diff_id, layer.size, layer.entries,
    record.encode(layer.paths)))
end

--- The layers of finished steps, in the order in which they were made.
function Journal:layers()
  local rows =
    self.state:rows([[SELECT layers.* FROM layers JOIN steps ON steps.run = layers.run AND steps.id = layers.step
    WHERE layers.run = ? AND steps.state = 'success' ORDER BY steps.seq]], self.number)
  for _, each in ipairs(rows) do each.paths = record.decode(each.paths) end
  return rows
end

--- The log file of a step, below the run's directory: others find it by the step's number while it
--- runs.
---@param seq integer
---@param what? string "background"
function Journal.log_name(_, seq, what)
  return "logs/" .. seq .. (what and "-" .. what or "") .. ".log"
end

--- The log file of what is said in a job outside of its steps.
---@param place string the job's
function Journal.job_log_name(_, place) return ("logs/job-%s.log"):format(place) end

function Journal:open_log(name)
  if not self.logs_in then
    self.logs_in = self.state:run_dir(self.number) .. "/"
    assert(fs.make_dir(self.logs_in .. "logs", tonumber("700", 8)))
  end
  return assert(io.open(self.logs_in .. name, "w"))
end

function Journal:run_end(state, message)
  assert(self.base:exec("UPDATE runs SET state = ?, ended = ?, error = ? WHERE number = ?", state,
    task.time(), message,
    self.number))
  self.base:settle()
end

return { begin = begin, reopen = reopen, look = look, HALTED = HALTED }
