-- orch gc [--keep N] [--days N] [--dry-run] [--json]: removes old runs; never live, held or
-- interrupted ones
local args = require "orch.cli.args"
local caches = require "orch.caches"
local fs = require "orch.fs"
local json = require "orch.json"
local project = require "orch.project"
local remains = require "orch.executor.docker.remains"
local say = require "orch.cli.say"
local state = require "orch.state"
local task = require "orch.task"

local SPEC <const> = { command = "gc", positional = {},
  flags = { keep = "integer", days = "integer", dry_run = "boolean", json = "boolean",
    project = "string" } }

local KEEP <const>, DAYS <const> = 50, 15
local DAY <const> = 24 * 60 * 60

-- The newest KEEP runs and those younger than DAYS stay; a failed one can be resumed as long as it
-- stays.
local function removable(opened, parsed)
  local rows = opened:rows("SELECT * FROM runs ORDER BY number DESC")
  local old, now = {}, task.time()
  for i, row in ipairs(rows) do
    local shown = opened:state_of(row)
    local protected = shown == "live" or shown == "interrupted" or shown == "hold"
    if not protected and i > (parsed.keep or KEEP)
      and now - (row.ended or row.started) > (parsed.days or DAYS) * DAY then
      old[#old + 1] = row
    end
  end
  return old
end

-- Unless another process goes on with it just now.
local function remove(opened, row)
  local lock <close> = opened:lock_run(row.number)
  if not lock or opened:run(row.number).state ~= row.state then return false end
  remains.remove(opened, row)
  opened:remove_jobs(row.number)
  assert(fs.remove(opened:run_dir(row.number)))
  opened:rows("DELETE FROM runs WHERE number = ?", row.number)
  return true
end

-- A live run has blobs that no index names yet.
local function any_live(opened)
  for _, row in ipairs(opened:rows("SELECT * FROM runs WHERE state = 'live'")) do
    if opened:state_of(row) == "live" then return true end
  end
  return false
end

local function digests_of(manifest_path, keep)
  local manifest = json.decode(fs.read(manifest_path) or "")
  if type(manifest) ~= "table" then return end
  if manifest.config then keep[manifest.config.digest] = true end
  for _, layer in ipairs(manifest.layers or {}) do keep[layer.digest] = true end
end

-- Digests and manifests that the runs on record name.
local function reachable(opened, store, index)
  local numbers, keep, kept = {}, {}, json.array {}
  for _, row in ipairs(opened:rows("SELECT number FROM runs")) do numbers[row.number] = true end
  -- An interrupted run may have a layer that no manifest names yet.
  for _, row in ipairs(opened:rows("SELECT digest FROM layers")) do keep[row.digest] = true end
  for _, each in ipairs(index.manifests) do
    local name = (each.annotations or {})["org.opencontainers.image.ref.name"] or ""
    if numbers[tonumber(name:match("^(%d+)/"))] then
      kept[#kept + 1] = each
      keep[each.digest] = true
      digests_of(store .. "/blobs/sha256/" .. each.digest:sub(8), keep)
    end
  end
  return keep, kept, numbers
end

local function remove_blobs(store, keep, numbers)
  local count = 0
  for _, name in ipairs(fs.list(store .. "/blobs/sha256") or {}) do
    if not keep["sha256:" .. name] then
      assert(fs.remove(store .. "/blobs/sha256/" .. name))
      count = count + 1
    end
  end
  for _, name in ipairs(fs.list(store .. "/blobs") or {}) do
    local number = tonumber(name:match("^%.(%d+)%-")) -- what a killed process was packing
    if number and not numbers[number] then assert(fs.remove(store .. "/blobs/" .. name)) end
  end
  return count
end

-- Blobs that nothing reaches.
local function sweep_store(opened)
  local store = opened.dir .. "/store"
  local path = store .. "/index.json"
  if not fs.stat(path) then return 0 end
  local lock <close> = fs.lock(store .. "/index.lock")
  if not lock then return 0 end
  local index = assert(json.decode(assert(fs.read(path))))
  local keep, kept, numbers = reachable(opened, store, index)
  if #kept < #index.manifests then
    index.manifests = kept
    assert(fs.write(path, json.encode(index), { durable = true }))
  end
  return remove_blobs(store, keep, numbers)
end

local function main(given)
  local parsed = args.parse(SPEC, given)
  local opened = state.open(project.find(parsed.project))
  local count, told = 0,
    { dry_run = parsed.dry_run or false, runs = json.array {}, kept = json.array {}, blobs = 0 }
  local tell = parsed.json and function() end or say
  for _, row in ipairs(removable(opened, parsed)) do
    local good, removed = true, true
    if not parsed.dry_run then good, removed = pcall(remove, opened, row) end
    if not good then
      tell(("run %d stays: %s"):format(row.number, removed.message))
      table.insert(told.kept, { run = row.number, reason = removed.message })
    elseif removed then
      tell(("%s run %d (%s)"):format(parsed.dry_run and "would remove" or "removed", row.number,
        row.state))
      table.insert(told.runs, { run = row.number, state = row.state })
      count = count + 1
    end
  end
  if not parsed.dry_run and any_live(opened) then
    tell("a run is live: blobs that no run needs stay until the next gc")
  elseif not parsed.dry_run then
    local blobs = sweep_store(opened)
    if blobs > 0 then tell(("removed %d blobs"):format(blobs)) end
    told.blobs = blobs
    count = count + blobs
  end
  told.caches =
    json.array(caches.sweep(opened.dir .. "/caches", (parsed.days or DAYS) * DAY, parsed.dry_run))
  for _, key in ipairs(told.caches) do
    tell(("%s cache %s"):format(parsed.dry_run and "would remove" or "removed", key))
  end
  count = count + #told.caches
  for _, name in ipairs(fs.list(opened.dir) or {}) do -- what a run had no time to delete at its end
    if name:find("^%.done%-") and not parsed.dry_run then
      assert(fs.remove(opened.dir .. "/" .. name))
    end
  end
  if count == 0 then tell("nothing to remove") end
  if parsed.json then print(json.encode(told)) end
  opened:close()
  return 0
end

return { main = main, spec = SPEC }
