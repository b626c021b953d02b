-- BuildKit's trace as lines that a person reads: a line per instruction, its output below.
local trace = require "orch.trace"

local Progress = {}
Progress.__index = Progress

local TAIL <const> = 20

--- Reports to the job; keeps each vertex's last lines for the error.
local function new(job)
  return setmetatable({ job = job, vertexes = {}, failed = nil, cached = 0, done = 0 }, Progress)
end

local function duration(vertex)
  return vertex.completed and vertex.started and vertex.completed - vertex.started or 0
end

function Progress:vertex(update)
  local known = self.vertexes[update.digest]
  if not known then
    known = { name = update.name, tail = {}, held = "" }
    self.vertexes[update.digest] = known
  end
  local internal = known.name:find("^%[internal%]") ~= nil
  if update.error and not known.error then
    known.error = update.error
    self.failed = self.failed or known
  end
  if update.completed and not known.completed then
    known.completed = true
    self.done = self.done + 1
    if update.cached then self.cached = self.cached + 1 end
    if internal and not update.error then return end
    self.job:log("%s  %s", known.name, update.error and "failed" or update.cached and "cached"
      or ("%.1f s"):format(duration(update)))
  end
end

function Progress:log(entry)
  local vertex = self.vertexes[entry.vertex] or { tail = {}, held = "" }
  local held = vertex.held .. entry.data
  for line in held:gmatch("([^\n]*)\n") do
    self.job:print("  " .. line .. "\n")
    vertex.tail[#vertex.tail + 1] = line
    if #vertex.tail > TAIL then table.remove(vertex.tail, 1) end
  end
  vertex.held = held:match("[^\n]*$")
end

--- Takes one aux of id moby.buildkit.trace.
function Progress:take(aux)
  local status = assert(trace.decode(aux))
  for _, update in ipairs(status.vertexes) do self:vertex(update) end
  for _, entry in ipairs(status.logs) do self:log(entry) end
  for _, warning in ipairs(status.warnings) do self.job:log("warning: %s", warning.short) end
end

--- What the vertex that failed printed last, for the error.
function Progress:detail()
  return self.failed and table.concat(self.failed.tail, "\n")
end

return { new = new }
