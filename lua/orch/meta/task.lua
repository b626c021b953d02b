---@meta orch.task

---Tasks: functions that run side by side in one thread, each going on while the others wait. A task
---is over when everything that it started is. Recipes use `orch.all`, `orch.timeout` and
---`orch.cleanup`, which are made of these.
---@class orch.task
---@field version string of the engine, such as "0.1.0"
local task = {}

---Starts a task below the current one; it begins when the current one next waits. Raises when the
---current one is cancelled.
---@param f function
---@param ... any its arguments
---@return orch.Task
function task.spawn(f, ...) end

---Waits.
---@param seconds number 0 or more; 0 gives the others their turn
function task.sleep(seconds) end

---@return orch.Task current
function task.current() end

---@return orch.error? reason by which the current task was cancelled
function task.cancelled() end

---Waits for `unpark` of the current task; returns at once when it came since the last park.
function task.park() end

---From here to `unshield` a cancellation of the current task is held back from it and from what it
---starts. When the time is over they are cancelled with an error of kind timeout. Nested calls
---share the outermost one's time. See `orch.cleanup`.
---@param seconds number
function task.shield(seconds) end

---Ends what `shield` began; what was held back is passed on to what was started meanwhile. Raises
---without `shield`.
function task.unshield() end

---@return number seconds of a clock that never goes back
function task.clock() end

---@return number seconds since 1970, with a fraction
function task.time() end

---@return integer count of the processors that are online
function task.cores() end

---What is open, for the check that nothing is left over.
---@return { tasks: integer, handles: integer } handles: timers, watches, works and signals of the loop
function task.live() end

---@class orch.Task: userdata
local running = {}

---Waits for the end. One task may wait for another at a time; later joins answer at once. Raises
---where a task would wait for itself or for one that it is part of.
---@param seconds? number default: for ever
---@return boolean? good true and the function's results, false and its error, nil when the time is over
---@return any ... results, or an orch.error
function running:join(seconds) end

---Raises the reason where the task waits, and at each later wait; likewise in all that it started.
---The first reason stays. Does nothing to a task that has ended.
---@param reason orch.error
function running:cancel(reason) end

---@return boolean
function running:ended() end

---As `task.spawn`, below this task instead of the current one. Raises when it has ended.
---@param f function
---@param ... any
---@return orch.Task
function running:spawn(f, ...) end

---Lets the task go on that is, or will next be, in `task.park`.
function running:unpark() end

return task
