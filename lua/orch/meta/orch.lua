---@meta orch

---What recipes and verbs require. A recipe returns `orch.pipeline { … }` or one job.
---@class orch
local orch = {}

---The type of each option that there is not, so that an editor tells of a wrong name.
---@alias orch.UnknownOption "there is no such option"

---@class orch.Definition: table a job that `orch.job` described
---@class orch.Pipeline: table jobs that `orch.pipeline` put together
---@class orch.Verb: table what `orch.verb` made
---@class orch.Executor: table where a job's steps run

---What a CI service would tell of the pipeline. Each can be given: `orch run RECIPE
---pipeline.git.branch=main`.
---@class orch.PipelineValues
---@field number integer the run's
---@field id string the run's, a UUID
---@field event_time string "2020-01-01T00:00:00Z" unless it is given
---@field project { git_url?: string, type: "github"|"gitlab"|"bitbucket" } by the URL of origin
---@field git orch.PipelineGit of the project as the run found it; error missing where there is no git

---@class orch.PipelineGit
---@field branch? string nil when HEAD is detached
---@field tag? string
---@field revision? string nil before the first commit
---@field base_revision? string the revision unless it is given
---@field is_default boolean false unless it is given
---@field url? string origin's, without credentials

---What `job:run` returns, unless it goes on in the background.
---@class orch.RunResult: orch.proc.result
---@field output string with `capture = true`: what it printed

---What `job:docker_build` returns.
---@class orch.BuildResult
---@field image string its id; none with `output`
---@field digest? string of its manifest
---@field context { files?: integer, bytes?: integer, entries?: integer } what was sent
---@field source? { url: string, commit: string } with a git context: what it was made from
---@field steps integer done, of which
---@field cached integer were in the cache
---@field warnings table[]
---@field vertexes table[] what BuildKit did

---The job that a body is given. Its methods are the verbs, and these.
---@class orch.Job
---@field name string
---@field params table<string, any> the pipeline's parameters
---@field pipeline orch.PipelineValues
---@field needs table<string, table<string, any>> outputs of the jobs it needs, by job
---@field matrix table<string, any> its values, when it is an instance of a matrix
---@field secrets table<string, orch.Secret> those it declares, by name
---@field env table<string, string> of its steps
---@field dir string the working directory, as the steps see it
---@field tmp string a directory for files beside the work, as the steps see it
---@field fs table files where the steps run; for verbs
---@field proc table processes where the steps run; for verbs
local Job = {}

---Steps below a title of their own; what f returns.
---@param title string
---@param f fun(): any
---@return any ...
function Job:group(title, f) end

---A line in the report.
---@param format string as string.format's
---@param ... any a secret shows as ***
function Job:log(format, ...) end

---Ends the job early, as a success.
function Job:halt() end

---Something to do when the body has ended: always, only when it failed, or only when it did not.
---Done in reverse order, also after a cancellation, and then within 30 s each.
---@param f fun()
---@param when? "always"|"on_fail"|"on_success" default "always"
function Job:defer(f, when) end

---Adds jobs to the run while it goes on; they may need this one and any other.
---@param jobs orch.Definition|orch.Definition[]
---@return string[] names
function Job:add_jobs(jobs) end

---For verbs: bytes that the step's program printed.
---@param bytes string
---@param stream? "stdout"|"stderr" where known; then whole lines
function Job:print(bytes, stream) end

---@class (exact) orch.Artifact
---@field kind string
---@field name string
---@field digest? string
---@field [string] orch.UnknownOption

---For verbs: something the run has made, which its summary names.
---@param artifact orch.Artifact
function Job:artifact(artifact) end

---@class (exact) orch.Progress
---@field label string
---@field current integer
---@field total? integer nil = not known
---@field unit? "bytes"|"steps"
---@field [string] orch.UnknownOption

---For verbs: how far a transfer, or one of several, has come.
---@param progress orch.Progress
function Job:progress(progress) end

---For verbs: a credential learnt at run time; nothing shows it from now on.
---@param value string|orch.Secret
function Job:mask(value) end

---@class (exact) orch.Retry
---@field attempts? integer in all, 1 to 100; default 1
---@field delay? number|string before the second one, in seconds or as "10s"; default 1
---@field backoff? number what the delay is multiplied by each time; default 2
---@field on? string[] kinds of error; default: any
---@field [string] orch.UnknownOption

---@class (exact) orch.JobDescription
---@field name string letters, digits and _ . -; unique in the pipeline, also by case
---@field run fun(job: orch.Job): table? the body; returns the outputs: plain values
---@field needs? string[]|table<string, string|string[]> `{ "a", b = "failed", c = { "success", "failed" } }`; states: success (default), failed, cancelled, not_run, terminal
---@field when? fun(job: { params: table, pipeline: table, needs: table, matrix: table }): boolean false: the job is not run
---@field matrix? table<string, any[]> an instance for each combination; `exclude`: a list of combinations
---@field executor? orch.Executor default: orch.host {}
---@field secrets? string[]|table<string, any> names of variables; "NAME?" may be absent
---@field environment? table<string, string|number|boolean> of all its steps
---@field shell? string|string[] of its `run` steps; default /bin/bash -eo pipefail
---@field timeout? number|string seconds, or "10m"; default none
---@field retry? orch.Retry
---@field resources? table<integer|string, string|integer> `{ "db", port = 2 }`: slots of the pipeline's resources
---@field serial? string one at a time among all runs of the project
---@field [string] orch.UnknownOption

---Describes a job; nothing runs yet. Raises kind usage for a mistake.
---@param description orch.JobDescription
---@return orch.Definition
function orch.job(description) end

---@class (exact) orch.PipelineDescription
---@field params? table<string, string|table> `NAME = type`, and `NAME=VALUE` may be given: "string", "integer?", { "enum", enum = { "a", "b" } }, { "integer", default = 1, min = 1, max = 9, enum = {}, pattern = "", doc = "" }
---@field resources? table<string, integer> `NAME = slots` that jobs take while they run
---@field [integer] orch.Definition
---@field [string] orch.UnknownOption

---Puts jobs together; nothing runs yet. Raises kind usage for a mistake: two of a name, a need that
---there is not, a circle.
---@param description orch.PipelineDescription
---@return orch.Pipeline
function orch.pipeline(description) end

---@class (exact) orch.VerbDescription
---@field run fun(job: orch.Job, options: table): any gets the checked options
---@field options? table<string, string|table> typed as params are; also "list", "table", "function", "secret", "any", and "string|list"
---@field positional? string the option that `job:verb "x"` gives
---@field advice? table<string, string> by option: what to write in place of one that there is not, or of another type
---@field returns? string the type of its result as LuaLS writes it: "{ size: integer }"; for editors and `orch verbs`
---@field title? fun(options: table): string? the step's title when no name is given
---@field replay? "answer"|"again" what resume does with a finished one; default "answer"
---@field again? fun(options: table): boolean of this call: is it done again on resume?
---@field external? boolean it has effects outside this machine; default false
---@field plan? fun(job: orch.Job, options: table): any what a plan knows of its result; default: nothing
---@field effects? fun(options: table): table { build, push: tags; persist: paths, root }, for plan and check
---@field [string] orch.UnknownOption

---A verb, which the file `verbs/NAME.lua` returns.
---@param description orch.VerbDescription
---@return orch.Verb
function orch.verb(description) end

---@class (exact) orch.HostDescription
---@field working_directory? string default: a directory of the job's own
---@field [string] orch.UnknownOption

---Steps run on this machine.
---@param description? orch.HostDescription
---@return orch.Executor
function orch.host(description) end

---@class (exact) orch.ServicePort
---@field port integer
---@field [string] orch.UnknownOption

---@class (exact) orch.Login
---@field username string
---@field password string|orch.Secret
---@field [string] orch.UnknownOption

---@class (exact) orch.ServiceDescription
---@field image string
---@field name? string what the job calls it; default: the last word of the image's name
---@field environment? table<string, string|number>
---@field command? string|string[]
---@field entrypoint? string|string[]
---@field user? string
---@field health? string|string[]|orch.ServicePort|boolean a shell command; a program; a port that is open; false: it is not waited for
---@field timeout? string|number seconds to be ready in; default 60
---@field auth? orch.Login as the executor's
---@field [string] orch.UnknownOption

---@class (exact) orch.ContainerResources
---@field cpus? number
---@field memory? string|integer bytes, or "4g"
---@field shm? string|integer as memory
---@field [string] orch.UnknownOption

---@class (exact) orch.DockerDescription
---@field image string
---@field services? orch.ServiceDescription[] containers that the steps reach by name
---@field user? string of the steps; default: the image's
---@field environment? table<string, string|number> of all steps; no secrets, since `docker inspect` shows it
---@field resources? orch.ContainerResources
---@field auth? orch.Login for the image's registry; "$NAME" is the job's secret of
---that name; default: what `docker login` has left
---@field working_directory? string default: the image's, or /work
---@field tmp? string default "/tmp"; a volume, too
---@field docker? boolean a local daemon's own socket in the container, from the start; default false
---@field pull? boolean ask the registry even if the image is here; default false
---@field in_place? boolean false: trees come and go as archives even where volumes can be seen; default true
---@field [string] orch.UnknownOption

---Steps run in a container of their own.
---@param description orch.DockerDescription
---@return orch.Executor
function orch.docker(description) end

---Ends the step, and with it the job, as failed.
---@param format string as string.format's
---@param ... any
function orch.fail(format, ...) end

---Runs the named functions side by side. When one fails the others are cancelled, and its error is
---raised once all have ended; one that waits for an answer (`job:ask`) leaves the others to go on.
---@param functions table<string, fun(): any>
---@return table<string, any> results the first result of each, by name
function orch.all(functions) end

---Calls f and gives it that many seconds; then it is cancelled, and an error of kind timeout is
---raised.
---@param seconds number
---@param f fun(): any
---@return any ...
function orch.timeout(seconds, f) end

---Calls f even when the task is cancelled, and holds a cancellation back meanwhile, for that many
---seconds (default 30).
---@param f fun(): any
---@param seconds? number
---@return any ...
function orch.cleanup(f, seconds) end

---@param seconds number
function orch.sleep(seconds) end

return orch
