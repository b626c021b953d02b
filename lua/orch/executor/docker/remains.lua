-- What runs have left on the daemon: containers, networks and volumes, found by their labels.
local engine = require "orch.executor.docker.engine"

--- Removes what a run has left, if any of its jobs ran in a container. Raises when the daemon
--- cannot be asked.
---@param opened table the project's state
---@param row table of the run
local function remove(opened, row)
  local used = opened:rows("SELECT 1 FROM steps WHERE run = ? AND verb = 'docker' LIMIT 1",
    row.number)
  if not used[1] then return end
  local failure = engine.remove_run(row.id)
  if failure then error(failure, 0) end
end

return { remove = remove }
