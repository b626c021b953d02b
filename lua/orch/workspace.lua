-- Workspaces: what jobs persist for the jobs after them, as layers of an OCI image layout.
--
-- store/ is one layout for all runs of a project (image-spec, image-layout.md): a layer is a blob,
-- a job's layers in one run are a manifest, named "RUN/JOB" in index.json. `skopeo inspect
-- oci:STORE:RUN/JOB` reads it.
local error_value = require "orch.error"
local fs = require "orch.fs"
local json = require "orch.json"
local nearest = require "orch.nearest"
local task = require "orch.task"

local INDEX <const> = "application/vnd.oci.image.index.v1+json"
local MANIFEST <const> = "application/vnd.oci.image.manifest.v1+json"
local CONFIG <const> = "application/vnd.oci.image.config.v1+json"
local LAYER <const> = "application/vnd.oci.image.layer.v1.tar+gzip"
local REF_NAME <const> = "org.opencontainers.image.ref.name"
local LOCK_SECONDS <const> = 30
local ENTRIES_MAX <const> = 10 * 1000 * 1000 -- of a layer: as many as are packed
local BYTES_MAX <const> = 64 << 30
local NAMED_MAX <const> = 3 -- paths that a warning names

local Workspace, View = {}, {}
Workspace.__index, View.__index = Workspace, View

local function blob_path(self, digest)
  return self.store .. "/blobs/sha256/" .. digest:match("^sha256:(%x+)$")
end

--- The workspace of one run, with the layers that its journal holds already.
---@param store string directory
---@param journal table
local function new(store, journal)
  local self =
    setmetatable({ store = store, number = journal.number, journal = journal, layers = {},
    givers = {} }, Workspace)
  if journal.resumed or journal.adopted then
    -- What a killed process was packing.
    for _, name in ipairs(fs.list(store .. "/blobs") or {}) do
      if name:find(("^%%.%d%%-"):format(journal.number)) then
        assert(fs.remove(store .. "/blobs/" .. name))
      end
    end
    for _, layer in ipairs(journal:layers()) do self:add(layer.job, layer) end
  end
  return self
end

-- Which attempt at the job made it: 2 of "build~2/persist_to_workspace#1".
local function attempt_of(layer)
  return math.tointeger(tonumber(layer.step:match("^[^/]*~(%d+)/") or 1))
end

-- A step that is done again makes its layer anew; an attempt at a job makes those of earlier ones
-- void.
function Workspace:add(job, layer)
  local kept = {}
  for _, each in ipairs(self.layers[job] or {}) do
    if each.step ~= layer.step and attempt_of(each) == attempt_of(layer) then
      kept[#kept + 1] = each
    end
  end
  kept[#kept + 1] = layer
  self.layers[job] = kept
  for _, path in ipairs(layer.paths) do
    self.givers[path] = self.givers[path] or {}
    self.givers[path][job] = true
  end
end

-- The layers of a job that still count.
local function layers_of(self, job)
  local list = {}
  for _, each in ipairs(self.layers[job] or {}) do
    if not self.journal.forgotten[each.step] then list[#list + 1] = each end
  end
  return list
end

--- What one job sees: its own layers to add to, those of the jobs upstream to attach.
---@param name string
---@param pipeline table
function Workspace:for_job(name, pipeline)
  return setmetatable({ workspace = self, job = name, pipeline = pipeline }, View)
end

local function prepare(store)
  if fs.stat(store .. "/oci-layout") then return end
  assert(fs.make_dir(store .. "/blobs/sha256"))
  assert(fs.write(store .. "/oci-layout", json.encode { imageLayoutVersion = "1.0.0" }))
end

local function put_blob(self, text)
  local digest = "sha256:" .. require "orch.hash".sha256(text)
  local path = blob_path(self, digest)
  if not fs.stat(path) then assert(fs.write(path, text)) end
  return digest, #text
end

-- index.json is shared by all runs of the project.
local function with_index(store, change)
  local deadline = task.clock() + LOCK_SECONDS
  local lock, failure = fs.lock(store .. "/index.lock")
  while not lock and failure.kind == "conflict" and task.clock() < deadline do
    task.sleep(0.02)
    lock, failure = fs.lock(store .. "/index.lock")
  end
  if not lock then error(failure, 0) end
  local path = store .. "/index.json"
  local index = fs.stat(path) and assert(json.decode(assert(fs.read(path))))
    or { schemaVersion = 2, mediaType = INDEX, manifests = json.array {} }
  change(index)
  local good, write_failure = fs.write(path, json.encode(index), { durable = true })
  lock:release()
  if not good then error(write_failure, 0) end
end

-- The job's manifest is written anew with each layer; the index names the newest.
local function write_manifest(self, job)
  local diff_ids, layers = {}, {}
  for i, layer in ipairs(layers_of(self, job)) do
    diff_ids[i] = layer.diff_id
    layers[i] = { mediaType = LAYER, digest = layer.digest, size = layer.size }
  end
  local config, config_size = put_blob(self, json.encode {
    architecture = "unknown", os = "linux", config = {}, history = json.array {},
    rootfs = { type = "layers", diff_ids = json.array(diff_ids) } })
  local manifest, size = put_blob(self, json.encode {
    schemaVersion = 2, mediaType = MANIFEST, layers = json.array(layers),
    config = { mediaType = CONFIG, digest = config, size = config_size } })
  local name = ("%d/%s"):format(self.number, job)
  with_index(self.store, function(index)
    local kept = json.array {}
    for _, each in ipairs(index.manifests) do
      if not each.annotations or each.annotations[REF_NAME] ~= name then kept[#kept + 1] = each end
    end
    kept[#kept + 1] = { mediaType = MANIFEST, digest = manifest, size = size,
      annotations = { [REF_NAME] = name } }
    index.manifests = kept
  end)
end

--- Makes what was adopted from another run this run's own.
function Workspace:publish()
  for job in pairs(self.layers) do write_manifest(self, job) end
end

-- Says what was looked for in vain.
local function with_paths(failure, paths)
  local text = table.concat(paths, ", ")
  if failure.kind == "missing" and failure.message:find("match any files", 1, true) then
    failure.message = ("%s: %s"):format(failure.message, text)
    failure.hint = text:find("$", 1, true)
      and "variables are not expanded here: the '$' is taken as it stands" or nil
  end
  return failure
end

--- Packs the paths below root as a layer of this job.
---@param files table the job's fs
---@param step string the place of the step that does it
---@return table layer { digest, diff_id, size, entries, bytes, paths }
function View:persist(files, root, paths, step)
  local self_ws = self.workspace
  prepare(self_ws.store)
  local temporary = ("%s/blobs/.%d-%s-%d"):format(self_ws.store, self_ws.number, self.job,
    #(self_ws.layers[self.job] or {}))
  local layer, failure = files.pack { root = root, paths = paths, file = temporary }
  if not layer then error(with_paths(failure, paths), 0) end
  assert(fs.rename(temporary, blob_path(self_ws, layer.digest)))
  layer.step = step
  self_ws.journal:add_layer(step, self.job, layer)
  self_ws:add(self.job, layer)
  write_manifest(self_ws, self.job)
  return layer
end

--- Warnings about what jobs side by side with this one have persisted too: no job can attach both.
---@param layer table
---@return string[]
function View:rivals(layer)
  local found, names, before = {}, {}, self.pipeline:upstream(self.job)
  for _, path in ipairs(layer.paths) do
    for job in pairs(self.workspace.givers[path] or {}) do
      if job ~= self.job and not before[job] then
        if not found[job] then names[#names + 1] = job end
        found[job] = found[job] or {}
        table.insert(found[job], path)
      end
    end
  end
  table.sort(names)
  for i, job in ipairs(names) do
    local paths = found[job]
    local more = #paths > NAMED_MAX and (" and %d more"):format(#paths - NAMED_MAX) or ""
    names[i] =
      ("warning: job '%s', which runs side by side, has persisted %s%s too: a job that needs both cannot attach them")
      :format(job, table.concat(paths, ", ", 1, math.min(#paths, NAMED_MAX)), more)
  end
  return names
end

--- Forgets what an earlier session of this job has persisted: the job begins anew.
function View:forget() self.workspace.layers[self.job] = nil end

-- Two jobs of which neither comes before the other must not have persisted the same path.
local function check_conflicts(visible, pipeline)
  local owner, above = {}, {}
  local function comes_after(job, other)
    above[job] = above[job] or pipeline:upstream(job)
    return above[job][other]
  end
  for _, layer in ipairs(visible) do
    for _, path in ipairs(layer.paths) do
      local other = owner[path]
      if other and other.job ~= layer.job and not comes_after(layer.job, other.job) then
        error(error_value.new { kind = "conflict",
          message = ("jobs '%s' and '%s' run side by side and both persisted %s"):format(other.job,
            layer.job, path),
          hint = "persist it in one of them only, let one need the other, or attach each somewhere else: { at = …, from = { … } }" }, 0)
      end
      owner[path] = layer
    end
  end
end

-- nil, err when a layer is lost, or is not what was packed: then it is made again.
local function check_layer(self, layer)
  local path = blob_path(self, layer.digest)
  local found, failure = require "orch.hash".file(path)
  if found and "sha256:" .. found ~= layer.digest then
    failure = error_value.new { kind = "remote",
      message = ("the layer %s was changed since job '%s' persisted it"):format(path, layer.job) }
  end
  if not failure then return path end
  failure.hint = ("job '%s' persisted it; do that again: orch resume %d --from %s"):format(
    layer.job, self.number, layer.job)
  return nil, failure
end

-- The jobs whose layers are meant, each after those that it needs.
local function sources(self, from)
  local above, order = self.pipeline:upstream(self.job)
  if not from then return order end
  local meant, list = {}, {}
  for _, name in ipairs(from) do
    for _, each in ipairs(self.pipeline.instances[name] or { name }) do
      if not above[each] then
        error(error_value.new { kind = "usage",
          message = ("from: '%s' is no job that '%s' needs%s"):format(name, self.job,
            nearest.hint(name, order)) }, 0)
      end
      meant[each] = true
    end
  end
  for _, name in ipairs(order) do
    if meant[name] then list[#list + 1] = name end
  end
  return list
end

--- Unpacks the layers of all jobs upstream, or of some, each after those of the jobs that it needs.
---@param from? string[] names of jobs, or of a matrix for all of its instances
---@return table[] layers what was applied
function View:attach(files, at, from)
  local visible = {}
  for _, name in ipairs(sources(self, from)) do
    for _, layer in ipairs(layers_of(self.workspace, name)) do
      layer.job = name
      visible[#visible + 1] = layer
    end
  end
  check_conflicts(visible, self.pipeline)
  assert(files.make_dir(at))
  for _, layer in ipairs(visible) do
    assert(files.unpack { file = assert(check_layer(self.workspace, layer)), into = at,
      entries_max = ENTRIES_MAX, bytes_max = BYTES_MAX })
  end
  return visible
end

return { new = new }
