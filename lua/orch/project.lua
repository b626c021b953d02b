-- The project: the git top of a directory, or the directory itself.
local error_value = require "orch.error"
local fnv = require "orch.fnv"
local fs = require "orch.fs"

---@class orch.Project
---@field dir string absolute, without links
---@field in_git boolean
---@field key string names the project's state: its last directory and a hash of the whole path

--- Finds the project that a directory belongs to.
---@param dir? string default: the working directory
---@return orch.Project
local function find(dir)
  local start, failure = fs.real_path(dir or ".")
  if not start then error(failure, 0) end
  if fs.stat(start).type ~= "directory" then
    error(error_value.new { kind = "usage", message = ("%s is no directory"):format(start) }, 0)
  end
  local top = start
  while not fs.stat(fs.join(top, ".git")) and top ~= "/" do top = fs.join(top, "..") end
  local in_git = fs.stat(fs.join(top, ".git")) ~= nil
  local root = in_git and top or start
  return { dir = root, in_git = in_git,
    key = ("%s-%s"):format(root:match("[^/]+$") or "root", fnv.hash(root):sub(1, 10)) }
end

return { find = find }
