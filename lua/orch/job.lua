-- A job's definition: its head says what must be known before anything runs, its body is a program.
local options = require "orch.options"

local Definition = {}
Definition.__index = Definition

local head = options.schema {
  name = "string",
  needs = { "list|table", default = {} },       -- { "a", b = "failed", c = { "success", "failed" } }
  when = "function?",                           -- of the job; false: it is not run
  matrix = "table?",                            -- { os = { … }, version = { … }, exclude = { { … } } }
  executor = "table?",
  secrets = { "list", default = {} },
  env = { "table", default = {} },
  timeout = { "number", default = 0 },          -- seconds; 0: none
  retry = { "table", default = {} },            -- { attempts, delay, backoff, on = { kinds } }
  resources = { "table", default = {} },        -- { "name", other = 2 }: slots it takes while it runs
  serial = "string?",                           -- one at a time among all runs of the project
  run = "function",
}

local retry_schema = options.schema {
  attempts = { "integer", default = 1 },
  delay = { "number", default = 1 },
  backoff = { "number", default = 2 },
  on = "list?",
}

local STATES <const> = { success = true, failed = true, cancelled = true, canceled = true, not_run = true,
  terminal = true }

local function accepted_states(name, needed, given)
  local states = {}
  for _, state in ipairs(type(given) == "table" and given or { given }) do
    if not STATES[state] then
      options.usage("orch.job: job '%s' needs '%s' to be '%s'; known: success, failed, cancelled, not_run, terminal",
        name, needed, tostring(state))
    end
    if state == "canceled" then state = "cancelled" end
    states[state] = true
  end
  if states.terminal then states = { success = true, failed = true, cancelled = true, not_run = true } end
  return states
end

-- { { name, states } } in a fixed order.
local function read_needs(definition)
  local needs = {}
  for key, value in pairs(definition.needs) do
    local name = math.type(key) == "integer" and value or key
    if type(name) ~= "string" then options.usage("orch.job: needs of '%s' must be names of jobs", definition.name) end
    needs[#needs + 1] = { name = name,
      states = accepted_states(definition.name, name, math.type(key) == "integer" and "success" or value) }
  end
  table.sort(needs, function(x, y) return x.name < y.name end)
  return needs
end

-- { name = slots }
local function read_resources(definition)
  local slots = {}
  for key, value in pairs(definition.resources) do
    if math.type(key) == "integer" then slots[value] = 1 else slots[key] = value end
  end
  return slots
end

--- Describes a job; nothing runs yet.
---@param description table see the head above
---@return orch.Definition
local function define(description)
  local definition = head:check("orch.job", description)
  -- Not the caller's line: `return orch.job { … }` is a tail call and leaves none.
  local info = debug.getinfo(definition.run, "S")
  definition.where = ("%s:%d"):format(info.short_src, info.linedefined)
  if not definition.name:match("^[%w][%w_.-]*$") then
    options.usage("orch.job: name '%s' must be letters, digits and _ . -", definition.name)
  end
  definition.needs = read_needs(definition)
  definition.resources = read_resources(definition)
  definition.retry = retry_schema:check("orch.job: retry", definition.retry)
  return setmetatable(definition, Definition)
end

--- The definition under another name with these values of a matrix.
function Definition:instance(name, values)
  local copy = {}
  for key, value in pairs(self) do copy[key] = value end
  copy.name, copy.matrix, copy.values, copy.base_name = name, nil, values, self.name
  return setmetatable(copy, Definition)
end

local function is_definition(value) return getmetatable(value) == Definition end


return { define = define, is_definition = is_definition }
