---@meta orch.spool

---Writes to a descriptor whose reader may be slow (a terminal, a pipe) without ever waiting for it.
---What it does not take at once a thread writes; until then that lies in 1 MiB of memory, beyond
---that in a file without a name in `$TMPDIR` (mode 0600), whose room is given back as it is read.
---The descriptor's flags are not touched.
---@class orch.spool
local spool = {}

---The spool belongs to the task that opens it: when that ends, it is closed, and the task is over
---only when all is written. `fd` itself may be closed at once.
---
---Errors: of the kind that the system's error means, for a descriptor that is none, or that cannot
---be written to.
---@param fd integer 1 is the standard output
---@return orch.Spool? spool
---@return orch.error? err
function spool.open(fd) end

---@class orch.Spool
local Spool = {}

---Never waits. Bytes come out in the order of the calls, those of one call with nothing between
---them. After a failure they are dropped; `close` tells. Raises when the spool is closed.
---@param ... string|number
---@return orch.Spool self
function Spool:write(...) end

---A live picture: shown when all bytes are out, unless another frame has taken its place by then.
---So whatever is on the screen, it must fit: a frame begins by clearing to the end of the screen
---and ends with the cursor where it began, and bytes that are written while frames are shown begin
---by clearing too. Never waits.
---@param text string at most 1 MiB
function Spool:frame(text) end

---@return integer bytes that were written but not yet taken by the descriptor; frames do not count
function Spool:pending() end

---@return boolean failed bytes are dropped from now on, as `close` will tell
function Spool:failed() end

---Waits until all is written, the frame too. A second call does nothing and gives true. Cancelled,
---it drops what is left.
---
---Errors, once: `io` when the reader has gone or no thread was to be had (what followed was
---dropped), or `$TMPDIR` had no room (what came before was written).
---@return true? good
---@return orch.error? err
function Spool:close() end

return spool
