---@meta orch.db

---SQLite databases (WAL, synchronous NORMAL), each on a thread of its own; statements run in the
---order given.
local db = {}

---Opens a database, made when it is not there; whether that succeeded is told by its first
---statement. It is closed with the task that opened it, at the latest.
---@param path string
---@return orch.db.database
function db.open(path) end

---@alias orch.db.value nil|boolean|integer|number|string booleans become 0 and 1; a string may hold any bytes

---Rows in their order, each by column name; NULL is nil.
---@class orch.db.rows: table<string, orch.db.value>[]
---@field changes integer rows that the statement changed
---@field last_id integer key of the row inserted last

---@class orch.db.database: userdata
local database = {}

---Runs one statement and waits for its rows; a power cut may undo it, a crash of orch does not.
---When the task is cancelled, a statement that only reads ends early; others are done. Errors:
---usage (the statement), conflict (a constraint, a table that is there already), io. Raises when
---the database is closed, for other values, and for more than 100 of them.
---@param sql string
---@param ... orch.db.value for each `?`
---@return orch.db.rows? rows
---@return orch.error? err
function database:exec(sql, ...) end

---As `exec`; once it returns, a power cut does not undo it, nor what was done before it.
---@param sql string
---@param ... orch.db.value
---@return orch.db.rows? rows
---@return orch.error? err
function database:exec_durable(sql, ...) end

---As `exec`, without waiting: it is done with what follows that is not posted, or by `post_now`, or
---after 20 ms. A failure is raised by the next `post`, `post_now` or `settle`.
---@param sql string
---@param ... orch.db.value
function database:post(sql, ...) end

---As `post`, but done at once, and what was posted before, too.
---@param sql string
---@param ... orch.db.value
function database:post_now(sql, ...) end

---Waits until every `post_now` has been done: a crash of orch does not undo them any more. Raises
---what has failed.
function database:settle() end

---Runs 1 to 1,000 statements, all or none, and waits.
---@param statements table[] { sql, value… } each; `n` counts its elements where a value is nil
---@return orch.db.rows? rows of the last one
---@return orch.error? err
function database:transaction(statements) end

---Waits for what was given before, and closes. Safe twice.
function database:close() end

---As `close`, without waiting: the task that opened it does, when it ends.
function database:release() end

return db
