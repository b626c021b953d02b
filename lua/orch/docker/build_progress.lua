-- BuildKit's trace as lines that a person reads: a line per instruction, its output below.
local trace = require "orch.trace"

local Progress = {}
Progress.__index = Progress

local TAIL <const> = 20
local HELD_MAX <const> = 16384   -- bytes of a line without an end
local WARNINGS_MAX <const> = 200

--- Reports to the job; keeps each vertex's last lines for the error.
local function new(job)
  return setmetatable({ job = job, vertexes = {}, order = {}, warnings = {}, failed = nil,
    cached = 0, done = 0 },
    Progress)
end

local function seconds_of(update)
  return update.completed and update.started and update.completed - update.started or 0
end

function Progress:known(digest, name)
  local vertex = self.vertexes[digest]
  if not vertex then
    vertex = { name = name, tail = {}, held = "", seconds = 0 }
    self.vertexes[digest] = vertex
    self.order[#self.order + 1] = vertex
  end
  return vertex
end

local function show_line(self, vertex, line)
  self.job:print("  " .. line .. "\n")
  vertex.tail[#vertex.tail + 1] = line
  if #vertex.tail > TAIL then table.remove(vertex.tail, 1) end
end

local function show_end(self, vertex, update)
  if vertex.held ~= "" then show_line(self, vertex, vertex.held) end
  vertex.held = ""
  if vertex.name:find("^%[internal%]") and not update.error then return end
  self.job:log("%s  %s", vertex.name, update.error and "failed" or update.cached and "cached"
    or ("%.1f s"):format(vertex.seconds))
end

function Progress:vertex(update)
  local vertex = self:known(update.digest, update.name)
  if update.error and not vertex.error then
    vertex.error = update.error
    -- What is stopped because another one failed is told as cancelled, and may be told first.
    local stopped = update.error:find("context canceled", 1, true) ~= nil
    if not self.failed or self.failed_stopped and not stopped then
      self.failed, self.failed_stopped = vertex, stopped
    end
  end
  if not update.completed then return end
  if vertex.completed then -- begun again: a source first tells its key, then its content
    vertex.seconds = math.max(vertex.seconds, seconds_of(update))
    return
  end
  vertex.completed, vertex.cached, vertex.seconds = true, update.cached, seconds_of(update)
  self.done = self.done + 1
  if update.cached then self.cached = self.cached + 1 end
  show_end(self, vertex, update)
end

function Progress:log(entry)
  local vertex = self:known(entry.vertex, "")
  local held = vertex.held .. entry.data
  for line in held:gmatch("([^\n]*)\n") do show_line(self, vertex, line) end
  vertex.held = held:match("[^\n]*$")
  if #vertex.held > HELD_MAX then
    show_line(self, vertex, vertex.held)
    vertex.held = ""
  end
end

function Progress:warning(warning)
  if #self.warnings >= WARNINGS_MAX then return end
  self.warnings[#self.warnings + 1] = { message = warning.short, detail = warning.detail,
    url = warning.url }
  self.job:log("warning: %s", warning.short)
end

--- Takes one aux of id moby.buildkit.trace.
function Progress:take(aux)
  local status = assert(trace.decode(aux))
  for _, update in ipairs(status.vertexes) do self:vertex(update) end
  for _, each in ipairs(status.statuses) do
    local total = each.total > 0 and each.total or each.completed and each.current or nil
    self.job:progress { label = each.name ~= "" and each.name or each.id, current = each.current,
      total = total }
  end
  for _, entry in ipairs(status.logs) do self:log(entry) end
  for _, warning in ipairs(status.warnings) do self:warning(warning) end
end

--- What was done: { name, cached, seconds } each, in the order in which the daemon told of them.
function Progress:summary()
  local list = {}
  for _, vertex in ipairs(self.order) do
    if vertex.completed then
      list[#list + 1] = { name = vertex.name, cached = vertex.cached or false,
        seconds = vertex.seconds }
    end
  end
  return list
end

--- What the vertex that failed printed last, for the error; "" when there is none.
function Progress:detail()
  local vertex = self.failed
  if not vertex then return "" end
  if vertex.held ~= "" then show_line(self, vertex, vertex.held) end
  vertex.held = ""
  return table.concat(vertex.tail, "\n")
end

return { new = new }
