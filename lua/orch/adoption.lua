-- What a new run takes over from the record of an old one.
local standing = require "orch.standing"

--- Has the job added jobs to the run? They are made again by its body.
---@param journal table
---@param name string
---@return boolean
local function has_grown(journal, name)
  if not journal.growers then
    journal.growers = {}
    for _, step in pairs(journal.recorded) do
      if step.verb == "add_jobs" then journal.growers[step.job] = true end
    end
  end
  return journal.growers[name] == true
end

--- The jobs that have succeeded, or were not wanted, as all before them: a new run of the same need
--- not do them.
---@param journal table of the run that was
---@param pipeline table
---@param jobs? string[]
---@return string[]
local function finished(journal, pipeline, jobs)
  local names, done = {}, {}
  for _, name in ipairs(pipeline:order(jobs)) do
    local job = journal.jobs[name]
    done[name] = job
      and (job.state == "success" and job.outputs
        or job.state == "not_run" and journal.stands[name])
      and not has_grown(journal, name)
    for _, need in ipairs(pipeline.by_name[name].resolved_needs) do
      done[name] = done[name] and done[need.name]
    end
    if done[name] then names[#names + 1] = name end
  end
  return names
end

--- Takes finished jobs over from another run, as if this one had done them.
---@param journal table of the new run
---@param other integer number of the run that was
---@param names string[]
local function adopt(journal, other, names)
  for _, name in ipairs(names) do
    assert(journal.base:transaction {
      {
        [[INSERT INTO jobs (run, name, attempt, state, started, ended, outputs, error, began, stands)
        SELECT ?, name, attempt, state, started, ended, outputs, error, began, stands FROM jobs
        WHERE run = ? AND name = ?]], journal.number, other, name },
      {
        [[INSERT INTO steps SELECT ?, id, seq, job, parent, branch, verb, title, place, options, state, again, result,
        artifacts, started, ended, error, NULL FROM steps WHERE run = ? AND job = ?]], journal.number, other, name },
      { [[INSERT INTO layers SELECT ?, step, job, digest, diff_id, size, entries, paths FROM layers
        WHERE run = ? AND job = ?]], journal.number, other, name },
    })
  end
  local row =
    journal.state:rows("SELECT max(seq) AS seq FROM steps WHERE run = ?", journal.number)[1]
  journal.seq = row.seq or 0
  standing.read(journal)
  journal.adopted = true
end

return { has_grown = has_grown, finished = finished, adopt = adopt }
