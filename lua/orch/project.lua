-- The project: the git top of a directory, or the directory itself.
local error_value = require "orch.error"
local fs = require "orch.fs"

-- FNV-1a, 64 bits: tells directories apart in names, no more.
local function short_hash(text)
  local hash = 0xcbf29ce484222325
  for i = 1, #text do hash = (hash ~ text:byte(i)) * 0x100000001b3 end
  return ("%016x"):format(hash):sub(1, 10)
end

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
    key = ("%s-%s"):format(root:match("[^/]+$") or "root", short_hash(root)) }
end

return { find = find }
