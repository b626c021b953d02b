-- What a resumed run does with what is recorded of its steps: the rules by which a call is answered
-- or done.
--
-- A journal has recorded (steps by place), of_job (steps by job), below (steps by their parent's
-- place), areas (finished steps of each job or branch, in order) and forgotten (reasons by place).

-- The finished steps of a job or branch, in the order in which they were done.
local function area_of(self, id)
  self.areas[id] = self.areas[id] or { steps = {}, at = 1 }
  return self.areas[id]
end

--- Reads what is recorded of the steps.
local function read(self)
  for _, step in ipairs(self.state:steps(self.number)) do
    self.recorded[step.id] = step
    self.of_job[step.job] = self.of_job[step.job] or {}
    table.insert(self.of_job[step.job], step)
    self.seq = math.max(self.seq, step.seq)
    self.below[step.parent] = self.below[step.parent] or {}
    table.insert(self.below[step.parent], step)
    if step.verb ~= "group" then area_of(self, step.branch).last = step end
    if step.state == "success" and step.verb ~= "group" then
      table.insert(area_of(self, step.branch).steps, step)
    end
  end
end

local ENDINGS <const> = { running = "it was interrupted", failed = "it had failed",
  cancelled = "it was cancelled", hold = "it waited for an answer" }

-- A step that is answered answers for those that it consists of.
local function consume(self, step)
  step.consumed = true
  for _, each in ipairs(self.below[step.id] or {}) do consume(self, each) end
end

local function next_of(area)
  while area.steps[area.at] and area.steps[area.at].consumed do area.at = area.at + 1 end
  return area.steps[area.at]
end

-- From here on nothing recorded counts, in this branch and, once it has ended, in what it is part
-- of.
local function begin_anew(self, scope, what, also)
  local reason = ("%s: %swhat follows it in %s is done anew"):format(what, also or "", scope.id)
  while scope do
    local area = scope:area()
    area.anew = area.anew or reason
    for _, step in ipairs((self.areas[area.id] or { steps = {} }).steps) do
      if not step.consumed then
        self.recorded[step.id], self.forgotten[step.id] = nil, reason
        self.base:post("DELETE FROM layers WHERE run = ? AND step = ?", self.number, step.id)
        self.base:post("DELETE FROM steps WHERE run = ? AND id = ?", self.number, step.id)
      end
    end
    self.areas[area.id] = nil
    scope = area.parent
  end
  return nil, reason, true
end

-- Did the body go on after that step had failed?
local function caught(self, step)
  local last = area_of(self, step.branch).last
  return step.state == "failed" and step.result and last.seq > step.seq
    and last.id:sub(1, #step.id + 1) ~= step.id .. "/"
end

local function redone_with(place)
  local scope = place.parent
  while scope do
    if scope.redo then return scope.redo end
    scope = scope.parent
  end
end

--- What resume does with a call: the recorded step that answers it, or nil and a reason to do it.
--- changed: the job does something else than it did.
---@param self table the journal
---@param place orch.Scope
---@param verb string
---@param options string fingerprint
---@return table? step, string? reason, boolean? changed
local function answer(self, place, verb, options)
  if not self.resumed then return nil end
  local scope = place:area()
  if scope.anew then return nil, scope.anew end
  local with = redone_with(place)
  if with then return nil, with end
  local step, expected = self.recorded[place.id], next_of(area_of(self, scope.id))
  if not step then
    local asked = self.forgotten[place.id]
    if asked or not expected then return nil, asked or "it had not begun", true end
    return begin_anew(self, scope, ("%s is new"):format(place.id))
  end
  if step.verb ~= verb or step.options ~= options then
    return begin_anew(self, scope, ("%s was called with other options"):format(place.id), "it and ")
  end
  local failed = caught(self, step)
  if step.state ~= "success" and not failed then return nil, ENDINGS[step.state] end
  if expected and expected ~= step and expected.seq < step.seq then
    return begin_anew(self, scope, ("%s is gone"):format(expected.id))
  end
  step.consumed = true
  if step.again == 1 then
    consume(self, step)
    return nil, "it is done again on every resume"
  end
  if not step.result then
    return nil, "its result was not kept: no record can hold it, or it held a secret"
  end
  consume(self, step)
  return step
end

return { read = read, answer = answer }
