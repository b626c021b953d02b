-- Files kept from run to run of a project, under keys: what a package manager has fetched, what a
-- compiler made.
local fs = require "orch.fs"
local options = require "orch.options"
local task = require "orch.task"

local KEY_MAX <const> = 120  -- bytes
-- what is written for longer was left by a process that was killed
local HALF_SECONDS <const> = 24 * 60 * 60
local KEPT_MAX <const> = 50  -- caches of a project; beyond that the oldest go

--- The key of a call: the given one, and a hash of the files that it names.
---@param what string the verb
---@param job orch.Job
---@param o { key: string, files: string[] }
---@return string key, boolean hashed
local function key_of(what, job, o)
  if o.key == "" or #o.key > KEY_MAX or not o.key:match("^[%w][%w_.+-]*$") then
    options.usage("%s: a key is at most %d letters, digits and _ . + -, got '%s'", what, KEY_MAX,
      o.key)
  end
  if #o.files == 0 then return o.key, false end
  local texts = {}
  for i, path in ipairs(o.files) do
    local text, failure = job.fs.read(path)
    if not text then error(require "orch.listing".explain(failure, job, path), 0) end
    texts[i] = ("%d %s"):format(#text, text)
  end
  return ("%s-%s"):format(o.key, require "orch.hash".sha256(table.concat(texts)):sub(1, 16)), true
end

local function path_of(job, key) return ("%s/%s.tar"):format(job.caches_dir, key) end

-- Newest first.
local function all(dir)
  local list = {}
  for _, name in ipairs(fs.list(dir) or {}) do
    local key, stat = name:match("^([^.].*)%.tar$"), fs.stat(dir .. "/" .. name)
    if key and stat then
      list[#list + 1] = { key = key, time = stat.mtime, path = dir .. "/" .. name }
    end
  end
  table.sort(list, function(a, b) return a.time > b.time or a.time == b.time and a.key > b.key end)
  return list
end

--- The cache of that key; else the newest whose key begins with one of these.
---@param job orch.Job
---@param key string
---@param beginnings string[]
---@return { key: string, path: string }?
local function find(job, key, beginnings)
  if fs.stat(path_of(job, key)) then return { key = key, path = path_of(job, key) } end
  local kept = all(job.caches_dir)
  for _, beginning in ipairs(beginnings) do
    for _, each in ipairs(kept) do
      if each.key:sub(1, #beginning) == beginning then return each end
    end
  end
end

--- Keeps paths below root under a key, which is written once.
---@return table? packed nil when it is there already
local function keep(job, key, root, paths)
  assert(fs.make_dir(job.caches_dir))
  if fs.stat(path_of(job, key)) then return nil end
  local packed, failure = job.fs.pack { root = root, paths = paths, file = path_of(job, key),
    compression = "zstd" }
  if not packed then error(require "orch.listing".explain(failure, job, root), 0) end
  for i, each in ipairs(all(job.caches_dir)) do
    if i > KEPT_MAX then assert(fs.remove(each.path)) end
  end
  return packed
end

--- Removes those older than so many seconds.
---@param dir string
---@param seconds number
---@param dry_run boolean nothing is removed
---@return string[] keys
local function sweep(dir, seconds, dry_run)
  local keys = {}
  for _, name in ipairs(dry_run and {} or fs.list(dir) or {}) do
    local stat = name:match("%.tar%.%x+$") and fs.stat(dir .. "/" .. name)
    if stat and task.time() - stat.mtime > HALF_SECONDS then
      assert(fs.remove(dir .. "/" .. name))
    end
  end
  for _, each in ipairs(all(dir)) do
    if task.time() - each.time > seconds then
      if not dry_run then assert(fs.remove(each.path)) end
      keys[#keys + 1] = each.key
    end
  end
  return keys
end

return { key_of = key_of, find = find, keep = keep, sweep = sweep }
