-- The one stream of what happens in a run. Reporters subscribe; nothing else prints.
local task = require "orch.task"

local VERSION <const> = 1

local Bus = {}
Bus.__index = Bus

--- A stream of events. Every text in them has gone through the masker first.
---@param masker orch.Masker
local function bus(masker)
  return setmetatable({ masker = masker, subscribers = {}, run = nil }, Bus)
end

---@param receive fun(event: table)
function Bus:subscribe(receive)
  self.subscribers[#self.subscribers + 1] = receive
end

local function masked(masker, value)
  if type(value) == "string" then return masker:apply(value) end
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, each in pairs(value) do copy[key] = masked(masker, each) end
  return copy
end

local function mask(masker, event)
  for key, value in next, event do event[key] = masked(masker, value) end
end

--- Sends one event: these fields, which are the event's from then on, in the envelope { v, type,
--- run, id, parent, time, clock }.
---@param kind string "run.start", "job.start", "step.start", "step.output", "step.end", …
---@param fields table plain values only
function Bus:emit(kind, fields)
  local event = fields
  if not self.masker:is_empty() then mask(self.masker, event) end
  event.v, event.type, event.run = VERSION, kind, self.run
  event.time, event.clock = task.time(), task.clock()
  for i = 1, #self.subscribers do self.subscribers[i](event) end
end

local TOLD <const> = { "kind", "message", "where", "step", "job", "op", "code", "status", "hint" }

--- What an event tells of an error value: plain values only.
---@param failure? table
---@return table?
local function told(failure)
  if not failure then return nil end
  local fields = {}
  for _, key in ipairs(TOLD) do
    local value = failure[key]
    if type(value) == "string" or math.type(value) == "integer" then fields[key] = value end
  end
  return fields
end

return { bus = bus, told = told }
