-- What a resumed run does with what is recorded of its steps: the rules by which a call is answered
-- or done.
--
-- A journal has recorded (steps by place), of_job (steps by job), below (steps by their parent's
-- place), areas (by the place of a job or branch) and forgotten (reasons by place). Steps are
-- numbered in the order in which the body comes to them: what is done anew gets a new number.

local record = require "orch.record"

-- Of a job or branch, without groups: steps (finished ones, in order), all (in any state), last (of
-- all, also when that is forgotten), reached (the number of the last one that this session answered
-- or began).
local function area_of(self, id)
  self.areas[id] = self.areas[id] or { steps = {}, at = 1, all = {}, reached = 0 }
  return self.areas[id]
end

--- A step of this session begins.
local function begin(self, branch, recorded, seq)
  if recorded then recorded.consumed = true end
  area_of(self, branch).reached = math.max(area_of(self, branch).reached, seq)
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
    if step.verb ~= "group" then
      local area = area_of(self, step.branch)
      table.insert(area.all, step)
      area.last = step
    end
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
    for _, step in ipairs(area_of(self, area.id).all) do
      if not step.consumed then
        self.recorded[step.id], self.forgotten[step.id] = nil, reason
        self.base:post("DELETE FROM layers WHERE run = ? AND step = ?", self.number, step.id)
        self.base:post("DELETE FROM steps WHERE run = ? AND id = ?", self.number, step.id)
      end
    end
    self.areas[area.id] = { steps = {}, at = 1, all = {}, reached = area_of(self, area.id).reached }
    scope = area.parent
  end
  return nil, reason, true
end

-- Did what the place is part of, a branch outside of its own or the job, go on after that step?
local function gone_on_outside(self, place, step)
  local scope = place:area().parent
  while scope do
    local area = scope:area()
    local last = area_of(self, area.id).last
    if last and last.seq > step.seq then return true end
    scope = area.parent
  end
  return false
end

local function is_below(id, parent) return id:sub(1, #parent + 1) == parent .. "/" end

-- Did it go on in branches of its own, neither the step's nor those that tidy up after the body?
local function gone_on_below(self, step)
  for id, area in pairs(self.areas) do
    if area.last and area.last.seq > step.seq and is_below(id, step.branch)
      and not is_below(id, step.id) and not id:find("/~tidying", 1, true) then
      return true
    end
  end
  return false
end

-- Did the body go on after that step had failed? A failure that ended the job has lost its result.
local function caught(self, place, step)
  if step.state ~= "failed" or not step.result then return false end
  local last = area_of(self, step.branch).last
  return last.seq > step.seq and not is_below(last.id, step.id)
    or gone_on_below(self, step) or gone_on_outside(self, place, step)
end

-- Was it cancelled since a branch beside it failed, and did the body go on after that?
local function cancelled_with(self, place, step)
  if step.state ~= "cancelled" or not step.result then return false end
  local failed = area_of(self, record.decode(step.result).branch).last
  return failed ~= nil and failed.state == "failed" and failed.result ~= nil
    and gone_on_outside(self, place, step)
end

-- The number of the last step that has come before in the body.
local function reached(self, scope)
  local seq = 0
  while scope do
    local area = scope:area()
    seq = math.max(seq, area_of(self, area.id).reached)
    scope = area.parent
  end
  return seq
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
  if step.seq < reached(self, scope) then
    return begin_anew(self, scope, ("%s was done before what comes before it now"):format(place.id),
      "it and ")
  end
  local ended = step.state == "success" or caught(self, place, step)
    or cancelled_with(self, place, step)
  if not ended then return nil, ENDINGS[step.state] end
  if expected and expected ~= step and expected.seq < step.seq then
    return begin_anew(self, scope, ("%s is gone"):format(expected.id))
  end
  begin(self, scope.id, step, step.seq)
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

return { read = read, answer = answer, begin = begin }
