-- Where a task is in the tree of jobs, groups, branches and steps. A verb called through any job
-- object finds its parent here, so that groups and branches need not be handed around.
local error_value = require "orch.error"
local task = require "orch.task"

local Scope = {}
Scope.__index = Scope

local TIDYING <const> = "~tidying" -- as no branch of a recipe is likely to be named

local of_task = setmetatable({}, { __mode = "k" })

---@class orch.Scope
---@field id string stable: job/group/branch/verb#n
---@field parent? orch.Scope
---@field depth integer 0 for a job
---@field kind "job"|"group"|"branch"|"step"

local function new(kind, id, parent)
  return setmetatable({ kind = kind, id = id, parent = parent,
    depth = parent and parent.depth + 1 or 0 }, Scope)
end

--- A scope for what is called from here; its id counts calls of the same name.
function Scope:child(kind, name)
  self.counts = self.counts or {}
  local count = (self.counts[name] or 0) + 1
  self.counts[name] = count
  return new(kind, self.id .. "/" .. name .. "#" .. count, self)
end

--- Branch names are unique in orch.all, and the same on every run: no counting. A later orch.all
--- goes on with the branch of that name, so that no two steps in it have one id.
function Scope:branch(name)
  self.branches = self.branches or {}
  local branch = self.branches[name] or new("branch", self.id .. "/" .. name, self)
  self.branches[name], branch.name = branch, name
  branch.anew = branch.anew or self:area().anew -- see Journal:answer
  return branch
end

--- Where a job does what was put off until its body ended: an area of its own.
function Scope:tidying() return self:branch(TIDYING) end

--- Is it in there?
function Scope:deferred()
  local scope = self
  while scope and scope.name ~= TIDYING do scope = scope.parent end
  return scope ~= nil
end

--- The innermost job or branch it is in: what is recorded in order, and done anew together.
function Scope:area()
  local scope = self
  while scope.kind ~= "branch" and scope.kind ~= "job" do scope = scope.parent end
  return scope
end

--- The job's own scope.
function Scope:root()
  local scope = self
  while scope.parent do scope = scope.parent end
  return scope
end

--- The nearest step, group or job that shows in reports.
function Scope:shown()
  local scope = self
  while scope.kind == "branch" do scope = scope.parent end
  return scope
end

local function current() return of_task[task.current()] end

local function enter(scope) of_task[task.current()] = scope end

--- Calls f inside the scope; the former one is back whatever happens.
local function within(scope, f, ...)
  local before = current()
  enter(scope)
  local function leave(...)
    enter(before)
    return ...
  end
  return leave(xpcall(f, error_value.on_error, ...))
end

return { new = new, current = current, enter = enter, within = within }
