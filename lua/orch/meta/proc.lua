---@meta orch.proc

---Programs. Each has a small parent of its own (a keeper), which ends everything that the program
---started when the program ends, is cancelled, or orch dies. As many run at once as the limit of
---descriptors allows (224 with 1,024, 10,000 at most); who starts one more waits for a place.
local proc = {}

---@class (exact) orch.proc.options
---@field argv (string|number|orch.Secret)[] the program and its arguments; without a `/` it is looked up in the PATH of `env`
---@field cwd? string working directory; default: ours
---@field env? table<string, string|number|orch.Secret> the whole environment; default: ours
---@field set? table<string, string|number|false|orch.Secret> instead of `env`: variables laid over our environment; false takes one out
---@field input? string|orch.Secret what it reads from standard input; default: nothing
---@field split? boolean standard error apart from standard output; default: both through one pipe, in the order written
---@field inherit? boolean standard input, output and error are ours, and there is nothing to read; default false
---@field foreground? boolean as inherit, and it shares the terminal's foreground with orch: a shell can take it, and give it back; it is asked to end by HUP, and what it leaves running goes on; default false
---@field grace? number seconds between TERM and KILL when it is ended; default 5, which 0 stands for too
---@field timeout? number seconds after which it is ended, with an error of kind timeout; default 0 = never
---@field output_max? integer `run` only: bytes it may print to one output; more ends it, with an error of kind limit; default 16 MiB, at most 1 GiB
---@field [string] orch.UnknownOption

---@class orch.proc.result
---@field code integer exit status, -1 when a signal ended it
---@field signal? integer the signal that ended it
---@field parent_killed? true it ended because somebody killed orch-shim, its parent
---@field seconds number that it ran
---@field user number seconds of processor time
---@field system number seconds of processor time in the kernel
---@field max_rss integer bytes of memory at most
---@field stdout? string `run` only; with standard error in it unless `split`
---@field stderr? string `run` with `split` only

---Runs a program to its end; waits. Its exit status is a result, not an error. Errors: missing (no
---such program, interpreter or directory), io (not allowed, no program), timeout, limit, cancelled.
---@param options orch.proc.options
---@return orch.proc.result? result
---@return orch.error? err
function proc.run(options) end

---Starts a program that is read while it runs; waits for a place only. It is ended with the task
---that started it, at the latest. Errors: as `run`; some of them are told by `child:wait`.
---@param options orch.proc.options
---@return orch.proc.child? child
---@return orch.error? err
function proc.start(options) end

---Signals one process, of which the caller knows that it still is the one meant. Errors: missing,
---io.
---@param pid integer more than 1
---@param number integer 0 only looks whether it is there
---@return true? good
---@return orch.error? err
function proc.kill(pid, number) end

---@class orch.proc.child: userdata
local child = {}

---Waits for the next piece of output, of any size. Nothing at the end. What is not read is kept up
---to 256 KiB; then the program waits. One task may wait for a child at a time.
---@return string? piece
---@return "stdout"|"stderr"|nil stream "stdout" where they are not apart
function child:read() end

---Waits for the end, dropping what was not read. May be called again.
---@return orch.proc.result? result
---@return orch.error? err
function child:wait() end

---Asks the program and all that it started to end: TERM, after the grace KILL. Also done by
---<close>.
function child:cancel() end

---Sends a signal to the program's group. Does nothing once it has ended.
---@param number integer
function child:signal(number) end

---The program's process id; waits until it has one.
---@return integer? pid nil once it has ended
function child:pid() end

return proc
