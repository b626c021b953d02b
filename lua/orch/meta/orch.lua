---@meta orch

---What recipes and verbs require. A recipe returns `orch.pipeline { … }` or one job.
---@class orch
local orch = {}

---@class (exact) orch.JobDescription
---@field name string letters, digits and _ . -; unique in the pipeline, also by case
---@field run fun(job: orch.Job): table? the body; returns the outputs: plain values
---@field needs? string[]|table<string, string|string[]> `{ "a", b = "failed", c = { "success", "failed" } }`; states: success (default), failed, cancelled, not_run, terminal
---@field when? fun(job: { params: table, pipeline: table, needs: table, matrix: table }): boolean false: the job is not run
---@field matrix? table<string, any[]> an instance for each combination; `exclude`: a list of combinations
---@field executor? orch.Executor default: orch.host {}
---@field secrets? string[]|table<string, any> names of variables; "NAME?" may be absent
---@field env? table<string, string> for all its steps
---@field timeout? number seconds; default none
---@field retry? { attempts?: integer, delay?: number, backoff?: number, on?: string[] } delay in seconds, times backoff each time; on: kinds of error
---@field resources? table<integer|string, string|integer> `{ "db", port = 2 }`: slots of the pipeline's resources
---@field serial? string one at a time among all runs of the project

---Describes a job; nothing runs yet. Raises kind usage for a mistake.
---@param description orch.JobDescription
---@return orch.Definition
function orch.job(description) end

---Jobs in the list part. `params = { NAME = type }` declares what `NAME=VALUE` may be given: "string", "integer?",
---{ "integer", default = 1, min = 1, max = 9, enum = {}, pattern = "", doc = "" }; `resources = { NAME = slots }`.
---@param description table
---@return orch.Pipeline
function orch.pipeline(description) end

---A verb: `options` typed as params are; `run` gets the job and the checked options. replay: what resume does with a
---finished one, "answer" (default) or "again"; external: it has effects outside this machine; plan: what a plan knows of
---its result.
---@param description { options: table, run: (fun(job: orch.Job, options: table): any), positional?: string, title?: (fun(options: table): string), replay?: "answer"|"again", external?: boolean, plan?: (fun(job: orch.Job, options: table): any), effects?: (fun(options: table): table) }
---@return orch.Verb
function orch.verb(description) end

---Steps run on this machine, in a directory of their own.
---@param options? { working_directory?: string }
---@return orch.Executor
function orch.host(options) end

---Ends the step, and with it the job, as failed.
---@param format string as string.format's
---@param ... any
function orch.fail(format, ...) end

---Runs the named functions side by side. When one fails the others are cancelled, and its error is raised once all have
---ended.
---@param functions table<string, fun(): any>
---@return table<string, any> results the first result of each, by name
function orch.all(functions) end

---Calls f and gives it that many seconds; then it is cancelled, and an error of kind timeout is raised.
---@param seconds number
---@param f fun(): any
---@return any ...
function orch.timeout(seconds, f) end

---Calls f even when the task is cancelled, and holds a cancellation back meanwhile, for that many seconds (default 30).
---@param f fun(): any
---@param seconds? number
---@return any ...
function orch.cleanup(f, seconds) end

---@param seconds number
function orch.sleep(seconds) end

return orch
