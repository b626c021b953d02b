-- A job's definition: its head says what must be known before anything runs, its body is a program.
local duration = require "orch.duration"
local environment = require "orch.environment"
local nearest = require "orch.nearest"
local options = require "orch.options"
local secrets = require "orch.secrets"

local Definition = {}
Definition.__index = Definition

-- What to write for what CI services call otherwise.
local BODY <const> = "run = function(job) job:checkout() job:run \"make\" end"
local NEEDS <const> = "needs = { \"other\" }"
local IN_CONTAINER <const> = "executor = orch.docker { image = \"…\", services = { … } }"
local VARIABLES <const> = "environment = { NAME = \"value\" }"
local WHEN <const> = "when = function(job) return job.pipeline.git.branch == \"main\" end"
local RETRY <const> = "retry = { attempts = 3 }"
local MATRIX <const> = "matrix = { os = { \"a\", \"b\" } }"
local OUTPUTS <const> = "the body returns them: return { version = \"1.0\" }"
local PARAMS <const> = "parameters are the pipeline's: orch.pipeline { params = { … }, … }"

local head = options.schema({
  name = "string",
  -- { "a", b = "failed", c = { "success", "failed" } }
  needs = { "list|table", default = {} },
  when = "function?",                           -- of the job; false: it is not run
  -- { os = { … }, version = { … }, exclude = { { … } } }
  matrix = "table?",
  executor = "table?",
  secrets = { "table", default = {} },          -- { "A", "B?", C = { file = … } }: see secrets.lua
  environment = { "table", default = {} },      -- of all its steps
  shell = "string|list?",                       -- of its `run` steps
  timeout = { "number|string", default = 0 },   -- 90, "10m"; 0: none
  retry = { "table", default = {} },            -- { attempts, delay, backoff, on = { kinds } }
  -- { "name", other = 2 }: slots it takes while it runs
  resources = { "table", default = {} },
  serial = "string?",                           -- one at a time among all runs of the project
  run = "function",
}, nil, {
  run = BODY, steps = BODY, script = BODY, command = BODY, commands = BODY,
  needs = NEEDS, requires = NEEDS, depends_on = NEEDS,
  docker = IN_CONTAINER, image = IN_CONTAINER, container = IN_CONTAINER, services = IN_CONTAINER,
  env = VARIABLES, variables = VARIABLES,
  parameters = PARAMS, params = PARAMS, inputs = PARAMS, outputs = OUTPUTS,
  environment = VARIABLES, matrix = MATRIX, strategy = MATRIX, secrets = "secrets = { \"NAME\" }",
  retry = RETRY, retries = RETRY, resources = "resources = { \"db\" }",
  parallelism = "matrix = { part = { 1, 2 } }, and job.matrix.part in the body",
  ["if"] = WHEN, when = WHEN, serial = "serial = \"release\"",
  working_directory = "a step has one: job:run { \"make\", working_directory = \"dir\" }",
  ["runs-on"] = "nothing: a job runs on this machine, or in a container: executor = orch.docker { … }",
  machine = "nothing: a job runs on this machine unless it has an executor",
  resource_class = "executor = orch.docker { image = \"…\", resources = { cpus = 2, memory = \"4g\" } }",
})

local retry_schema = options.schema {
  attempts = { "integer", default = 1, min = 1, max = 100 },
  delay = { "number|string", default = 1 },
  backoff = { "number", default = 2, min = 1 },
  on = "list?",
}

local STATES <const> = { success = true, failed = true, cancelled = true, canceled = true,
  not_run = true,
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
  if states.terminal then
    states = { success = true, failed = true, cancelled = true, not_run = true }
  end
  return states
end

-- { { name, states } } in a fixed order.
local function read_needs(definition)
  local needs = {}
  for key, value in pairs(definition.needs) do
    local name = math.type(key) == "integer" and value or key
    if type(name) ~= "string" then
      options.usage("orch.job: needs of '%s' must be names of jobs", definition.name)
    end
    needs[#needs + 1] = { name = name,
      states = accepted_states(definition.name, name,
        math.type(key) == "integer" and "success" or value) }
  end
  table.sort(needs, function(x, y) return x.name < y.name end)
  return needs
end

-- { name = slots }
local function read_resources(definition)
  local slots = {}
  for key, value in pairs(definition.resources) do
    local name, count = key, value
    if math.type(key) == "integer" then name, count = value, 1 end
    if type(name) ~= "string" or math.type(count) ~= "integer" or count < 1 then
      options.usage("orch.job: resources of '%s' must be names, or name = slots (1 or more)",
        definition.name)
    end
    slots[name] = count
  end
  return slots
end

local KINDS <const> = { "failed", "auth", "net", "remote", "missing", "conflict", "timeout",
  "limit", "io" }

local function read_retry(definition)
  local what = ("orch.job: retry of '%s'"):format(definition.name)
  local retry = retry_schema:check(what, definition.retry)
  retry.delay = duration.seconds(what .. ": delay", retry.delay)
  for _, kind in ipairs(retry.on or {}) do
    if not nearest.contains(KINDS, kind) then
      options.usage("%s: there is no kind of error '%s'%s", what, tostring(kind),
        nearest.hint(tostring(kind), KINDS))
    end
  end
  return retry
end

--- Describes a job; nothing runs yet.
---@param description table see the head above
---@return orch.Definition
local function define(description)
  local given = type(description) == "table" and description.executor
  if given and not (type(given) == "table" and type(given.open) == "function") then
    options.usage("orch.job: executor must be orch.docker { image = %s } or orch.host {}, got %s",
      type(given) == "string" and ("%q"):format(given) or "…",
      type(given) == "string" and "a text" or "a " .. type(given))
  end
  local definition = head:check("orch.job", description)
  local info = debug.getinfo(definition.run, "S")
  definition.where = ("%s:%d"):format(info.short_src, info.linedefined)
  if not definition.name:match("^[%w][%w_.-]*$") then
    options.usage("orch.job: name '%s' must be letters, digits and _ . -", definition.name)
  end
  definition.needs = read_needs(definition)
  definition.resources = read_resources(definition)
  definition.environment =
    environment.plain(("orch.job: environment of '%s'"):format(definition.name),
    definition.environment)
  definition.retry = read_retry(definition)
  definition.timeout = duration.seconds(("orch.job: timeout of '%s'"):format(definition.name),
    definition.timeout)
  definition.secrets = secrets.declared(definition.name, definition.secrets)
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
