-- Exit code 0 when a docker daemon answers.
local good = pcall(require "orch.docker.client".connect)
return good and 0 or 1
