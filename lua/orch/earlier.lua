-- What becomes of the jobs that earlier sessions of a run, or the run that is done again, had done
-- or begun.
local adoption = require "orch.adoption"
local fs = require "orch.fs"
local record = require "orch.record"

--- Forgets what an earlier session did of a job of whose needs one has come to something else
--- since.
---@param definition orch.Definition
---@return boolean forgotten
local function forget_outdated(self, definition)
  local name = definition.name
  for _, need in ipairs(definition.resolved_needs) do
    if self.graph.nodes[need.name] and not self.journal:begun_after(name, need.name) then
      local reason = ("job %s, which it needs, is done again"):format(need.name)
      if self.journal:forget_job(name, reason) then
        assert(fs.remove(("%s/jobs/%s"):format(self.dir, name)))
      end
      return true
    end
  end
  return false
end

-- Of a job whose condition did not let it run. What the condition raises is told when the job's
-- turn comes.
local function still_unwanted(self, definition)
  local good, wanted = pcall(self.wanted, self, definition)
  if good and not wanted then return true end
  self.journal:fell(definition.name)
  return false
end

-- What becomes of a job that an earlier session has finished: "done"; "entered" again, its steps
-- being answered, because it adds jobs, because its outputs were not kept, since they hold a
-- secret, because a job before it is, or because an earlier session was just entering it; or nil:
-- done again, because it had not succeeded or a job before it is.
local function fate_of(self, definition)
  local kept, name = self.journal, definition.name
  local recorded = kept.jobs[name]
  if forget_outdated(self, definition) or not recorded or not kept.stands[name] then return nil end
  for _, need in ipairs(definition.resolved_needs) do
    if self.fates[need.name] == "entered" then return "entered" end
  end
  if recorded.state == "not_run" then return still_unwanted(self, definition) and "done" or nil end
  local whole = recorded.state == "success" and recorded.outputs
    and not adoption.has_grown(kept, name)
  return whole and "done" or "entered"
end

local function take_recorded(self, name, recorded)
  self.outputs[name] = recorded.outputs and record.decode(recorded.outputs)
  self.graph.nodes[name].state = "running"
  self.graph:finish(name, recorded.state)
  if recorded.state == "success" then
    self.bus:emit("job.recorded", { id = name, job = name })
  else
    self.bus:emit("job.end", { id = name, job = name, status = recorded.state, seconds = 0 })
  end
end

--- What an earlier session of this run has finished is done.
---@param self table the run
---@param order string[] jobs
local function take(self, order)
  for _, name in ipairs(order) do
    local fate = fate_of(self, self.recipe.pipeline.by_name[name])
    self.fates[name] = fate
    if fate == "done" then take_recorded(self, name, self.journal.jobs[name]) end
  end
end

return { take = take, forget_outdated = forget_outdated }
