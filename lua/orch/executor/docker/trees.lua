-- Whole trees in and out of the container: archives, checkouts, build contexts. Nothing of it needs
-- a program in the image.
--
-- Where the daemon is on this machine and we may read its volumes, trees on them are read and
-- written in place. Elsewhere they come and go as archives, by way of a directory on this machine.
local fs = require "orch.fs"

local Trees = {}
Trees.__index = Trees

---@class orch.docker.Trees
---@field engine table
---@field container string id
---@field root table file server of the container's root
---@field owner { uid: integer, gid: integer } the job's user
---@field files table job.fs so far
---@field stage string directory on this machine for what is on its way
---@field volumes { path: string, host: string }[] what can be read in place, the longest paths first

local function new(fields)
  fields.staged = 0
  table.sort(fields.volumes, function(x, y) return #x.path > #y.path end)
  return setmetatable(fields, Trees)
end

-- --- in place ------------------------------------------------------------------------------------

--- Where a path of the container is on this machine; nil when it is on none of the volumes, or a
--- link leads elsewhere: the container's links mean other places here.
---@param path string absolute
---@return string?
function Trees:place(path)
  for _, volume in ipairs(self.volumes) do
    if path == volume.path or path:sub(1, #volume.path + 1) == volume.path .. "/" then
      local host = volume.host .. path:sub(#volume.path + 1)
      return fs.real_path(host) == host and host or nil
    end
  end
end

-- --- by archives ---------------------------------------------------------------------------------

local function new_stage(self)
  self.staged = self.staged + 1
  local dir = ("%s/%d"):format(self.stage, self.staged)
  assert(fs.make_dir(dir, tonumber("700", 8)))
  return dir
end

-- The tree as a directory on this machine.
local function bring(self, path)
  local dir = new_stage(self)
  local reply, failure = self.engine.connected:request { op = "docker cp", file = dir .. ".tar",
    path = ("/containers/%s/archive"):format(self.container), query = { path = path .. "/." },
    idle_timeout = 600 }
  if not reply then return nil, failure end
  local unpacked
  unpacked, failure = require "orch.tar".unpack { file = dir .. ".tar", into = dir }
  assert(fs.remove(dir .. ".tar"))
  if not unpacked then return nil, failure end
  return dir
end

-- The contents of a directory on this machine into one in the container, where they are root's at
-- first.
local function send(self, dir, path)
  local packed, failure = require "orch.tar".pack { root = dir, paths = { "." },
    file = dir .. ".tar", compression = "none" }
  if not packed then return nil, failure end
  local reply
  reply, failure = self.engine.connected:request { op = "docker cp", method = "PUT",
    body_file = dir .. ".tar", idle_timeout = 600,
    path = ("/containers/%s/archive"):format(self.container), query = { path = path },
    headers = { ["Content-Type"] = "application/x-tar" } }
  assert(fs.remove(dir .. ".tar"))
  return reply, failure
end

-- --- as job.fs -----------------------------------------------------------------------------------

--- Files below a root into an archive on this machine.
function Trees:pack(spec)
  local root = self.files.inside(spec.root)
  local failure
  spec.root = self:place(root)
  if not spec.root then
    spec.root, failure = bring(self, root)
    if not spec.root then return nil, failure end
  end
  return require "orch.tar".pack(spec)
end

-- Each entry of the archive, and the directories that it is in.
local function paths_in(spec, into)
  local entries, failure = require "orch.tar".list { file = spec.file,
    entries_max = spec.entries_max, bytes_max = spec.bytes_max }
  if not entries then return nil, failure end
  local paths, seen = { into }, { [into] = true }
  for _, entry in ipairs(entries) do
    local path = fs.join(into, (entry.path:gsub("^/+", "")))
    while not seen[path] and #path > #into do
      seen[path] = true
      paths[#paths + 1] = path
      path = path:match("^(.*)/")
    end
  end
  return paths
end

--- An archive on this machine into a directory; what it holds is the job's user's.
function Trees:unpack(spec)
  local into = self.files.inside(spec.into)
  local paths, failure = self.files.may_write(into)
  if paths then paths, failure = paths_in(spec, into) end
  if not paths then return nil, failure end
  local host = self:place(into)
  spec.into = host or new_stage(self)
  local unpacked
  unpacked, failure = require "orch.tar".unpack(spec)
  if not unpacked then return nil, failure end
  if not host then
    local sent
    sent, failure = send(self, spec.into, into)
    if not sent then return nil, failure end
  end
  local good
  good, failure = self.root:own(paths, self.owner)
  if not good then return nil, failure end
  return unpacked
end

--- A docker build context as a stream.
function Trees:context(spec)
  local dir = self.files.inside(spec.dir)
  local failure
  spec.dir = self:place(dir)
  if not spec.dir then
    spec.dir, failure = bring(self, dir)
    if not spec.dir then return nil, failure end
  end
  return require "orch.tar".context(spec)
end

-- The repositories that a checkout borrows objects from, and those that they do.
local function lenders(objects, list)
  for line in (fs.read(objects .. "/info/alternates") or ""):gmatch("[^\n]+") do
    local dir = fs.join(objects, line)
    list[#list + 1] = dir
    if #list < 8 then lenders(dir, list) end
  end
  return list
end

-- What a checkout borrows lies on this machine, where the container cannot look.
local function own_objects(self, work_tree)
  local objects = work_tree .. "/.git/objects"
  local borrowed = lenders(objects, {})
  for _, dir in ipairs(borrowed) do
    local archive = new_stage(self) .. ".tar"
    assert(require "orch.tar".pack { root = dir, paths = { "pack", "[0-9a-f][0-9a-f]" },
      file = archive, compression = "none" })
    assert(require "orch.tar".unpack { file = archive, into = objects })
    assert(fs.remove(archive))
  end
  if #borrowed > 0 then assert(fs.remove(objects .. "/info/alternates")) end
end

-- An absent or empty directory needs no bringing.
local function work_tree_of(self, into)
  local host = self:place(into)
  if host then return host, true end
  local names = self.files.list(into)
  if names and #names > 0 then return bring(self, into) end
  return new_stage(self)
end

local function replace(self, dir, into)
  for _, name in ipairs(self.files.list(into) or {}) do
    local good, failure = self.files.remove(into .. "/" .. name)
    if not good then return nil, failure end
  end
  return send(self, dir, into)
end

--- A repository's work tree.
function Trees:checkout(spec)
  local into = self.files.inside(spec.into)
  local good, failure = self.files.make_dir(into)
  if good then good, failure = self.files.may_write(into) end
  if not good then return nil, failure end
  local dir, in_place = work_tree_of(self, into)
  if not dir then return nil, in_place end
  spec.into = dir
  local result
  result, failure = require "orch.repo".checkout(spec)
  if not result then return nil, failure end
  own_objects(self, dir)
  if in_place ~= true then
    good, failure = replace(self, dir, into)
    if not good then return nil, failure end
  end
  good, failure = self.root:own({ into }, self.owner, true)
  if not good then return nil, failure end
  return result
end

-- A file, as a file on this machine.
local function bring_file(self, path)
  local dir = new_stage(self)
  local bytes = self.engine.connected:request { op = "docker cp", file = dir .. ".tar",
    path = ("/containers/%s/archive"):format(self.container), query = { path = path },
    idle_timeout = 600 }
  if not bytes then return self.files.stat(path) end
  local unpacked, failure = require "orch.tar".unpack { file = dir .. ".tar", into = dir }
  assert(fs.remove(dir .. ".tar"))
  if not unpacked then return nil, failure end
  return dir .. "/" .. path:match("[^/]+$")
end

--- Where programs of this machine can read a file or directory of the job: it, or a copy of it.
function Trees:seen(path)
  local inside = self.files.real(path)
  local host = self:place(inside)
  if host then return host end
  local stat = assert(self.files.stat(inside))
  return assert((stat.type == "directory" and bring or bring_file)(self, inside))
end

--- Calls write(path), which makes a file of that path on this machine; then it is the job's.
function Trees:receive(path, write)
  local inside = self.files.inside(path)
  local dir, name = inside:match("^(.*)/([^/]+)$")
  assert(self.files.may_write(dir))
  local stage = new_stage(self)
  local result = write(stage .. "/" .. name)
  assert(send(self, stage, dir))
  assert(fs.remove(stage))
  assert(self.root:own({ inside }, self.owner))
  return result
end

--- Adds what is here to job.fs.
function Trees:complete(files)
  function files.pack(spec) return self:pack(spec) end
  function files.unpack(spec) return self:unpack(spec) end
  function files.context(spec) return self:context(spec) end
  function files.checkout(spec) return self:checkout(spec) end
  function files.seen(path) return self:seen(path) end
  function files.receive(path, write) return self:receive(path, write) end
  return files
end

return { new = new }
