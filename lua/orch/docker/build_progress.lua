-- BuildKit's trace as lines that a person reads: a line per instruction, its output below.
local fault = require "orch.docker.fault"
local trace = require "orch.trace"

local Progress = {}
Progress.__index = Progress

local TAIL <const> = 20
local HELD_MAX <const> = 16384   -- bytes of a line without an end
local WARNINGS_MAX <const> = 200
local VERTEXES_MAX <const> = 10000
local TRANSFERS_MAX <const> = 10000
local STREAMS <const> = { "stdout", "stderr" }
local DETAIL_MAX <const> = 20       -- lines of a warning
local NAME_MAX <const> = 4096      -- bytes of a vertex's name and the like
local KEPT_MAX <const> = 16 << 20  -- bytes of all that vertexes under way have printed last

--- Reports to the job; keeps each vertex's last lines for the error.
local function new(job)
  return setmetatable({ job = job, vertexes = {}, order = {}, warnings = {}, failed = nil,
    cached = 0, done = 0, kept = 0, transfers = {}, transfer_count = 0 }, Progress)
end

local function seconds_of(update)
  return update.completed and update.started and update.completed - update.started or 0
end

local function brief(text) return text and text:sub(1, NAME_MAX) end

local function brief_list(texts)
  local list = {}
  for i = 1, math.min(#texts, DETAIL_MAX) do list[i] = brief(texts[i]) end
  return list
end

function Progress:known(digest, name)
  digest = brief(digest)
  local vertex = self.vertexes[digest]
  if not vertex then
    if #self.order == VERTEXES_MAX then
      error(fault.endless("docker build", VERTEXES_MAX, "steps"), 0)
    end
    vertex = { name = brief(name), tail = {}, held = "", seconds = 0 }
    self.vertexes[digest] = vertex
    self.order[#self.order + 1] = vertex
  end
  return vertex
end

-- What is kept grows by so many bytes.
local function keep(self, bytes)
  self.kept = self.kept + bytes
  if self.kept > KEPT_MAX then
    error(fault.endless("docker build", KEPT_MAX, "bytes of steps that do not end"), 0)
  end
end

local function show_line(self, vertex, line)
  self.job:print("  " .. line .. "\n", STREAMS[vertex.stream])
  line = line:sub(1, HELD_MAX)
  vertex.tail[#vertex.tail + 1] = line
  keep(self, #line - (#vertex.tail > TAIL and #table.remove(vertex.tail, 1) or 0))
end

local function show_held(self, vertex)
  local held = vertex.held
  if held == "" then return end
  vertex.held = ""
  keep(self, -#held)
  show_line(self, vertex, held)
end

local function drop_tail(self, vertex)
  for _, line in ipairs(vertex.tail) do keep(self, -#line) end
  vertex.tail = {}
end

local function tell(self, vertex, state)
  vertex.told = true
  self.job.bus:emit("step.vertex", { id = self.job:step_id(), job = self.job.name,
    name = vertex.name, state = state, seconds = state ~= "started" and vertex.seconds or nil })
end

local function show_end(self, vertex, update)
  show_held(self, vertex)
  if vertex.name:find("^%[internal%]") and not update.error then return end
  self.job:log("%s  %s", vertex.name, update.error and "failed" or update.cached and "cached"
    or ("%.1f s"):format(vertex.seconds))
end

function Progress:vertex(update)
  local vertex = self:known(update.digest, update.name)
  if update.error and not vertex.error then
    vertex.error = true
    -- What is stopped because another one failed is told as cancelled, and may be told first.
    local stopped = update.error:find("context canceled", 1, true) ~= nil
    if not self.failed or self.failed_stopped and not stopped then
      self.failed, self.failed_stopped = vertex, stopped
    end
  end
  if not update.completed then
    if update.started and not vertex.told then tell(self, vertex, "started") end
    return
  end
  if vertex.completed then -- begun again: a source first tells its key, then its content
    vertex.seconds = math.max(vertex.seconds, seconds_of(update))
    return
  end
  vertex.completed, vertex.cached, vertex.seconds = true, update.cached, seconds_of(update)
  self.done = self.done + 1
  if update.cached then self.cached = self.cached + 1 end
  tell(self, vertex, update.error and "failed" or update.cached and "cached" or "done")
  show_end(self, vertex, update)
  if not vertex.error then drop_tail(self, vertex) end
end

function Progress:log(entry)
  local vertex = self:known(entry.vertex, "")
  if entry.stream ~= vertex.stream then
    show_held(self, vertex)
    vertex.stream = entry.stream
  end
  local held, before = vertex.held .. entry.data, #vertex.held
  for line in held:gmatch("([^\n]*)\n") do show_line(self, vertex, line) end
  vertex.held = held:match("[^\n]*$")
  keep(self, #vertex.held - before)
  if #vertex.held > HELD_MAX then show_held(self, vertex) end
end

function Progress:warning(warning)
  if #self.warnings >= WARNINGS_MAX then return end
  self.warnings[#self.warnings + 1] = { message = brief(warning.short),
    detail = brief_list(warning.detail), url = brief(warning.url) }
  self.job:log("warning: %s", warning.short)
end

--- Takes one aux of id moby.buildkit.trace.
function Progress:take(aux)
  local status = assert(trace.decode(aux))
  for _, update in ipairs(status.vertexes) do self:vertex(update) end
  for _, each in ipairs(status.statuses) do
    local total = each.total > 0 and each.total or each.completed and each.current or nil
    local label = brief(each.name ~= "" and each.name or each.id)
    if not self.transfers[label] then
      self.transfers[label], self.transfer_count = true, self.transfer_count + 1
    end
    if self.transfer_count > TRANSFERS_MAX then
      error(fault.endless("docker build", TRANSFERS_MAX, "transfers"), 0)
    end
    self.job:progress { label = label, current = each.current, total = total }
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
  show_held(self, vertex)
  return table.concat(vertex.tail, "\n")
end

return { new = new }
