-- orch gc [--keep N] [--days N] [--dry-run]: removes old runs; never live, held or interrupted ones
local args = require "orch.cli.args"
local fs = require "orch.fs"
local json = require "orch.json"
local project = require "orch.project"
local remains = require "orch.executor.docker.remains"
local state = require "orch.state"
local task = require "orch.task"

local SPEC <const> = { command = "gc", positional = {},
  flags = { keep = "integer", days = "integer", dry_run = "boolean", project = "string" } }

local KEEP <const>, DAYS <const> = 50, 15
local DAY <const> = 24 * 60 * 60

-- The newest KEEP runs and those younger than DAYS stay; a failed one can be resumed as long as it stays.
local function removable(opened, parsed)
  local rows = opened:rows("SELECT * FROM runs ORDER BY number DESC")
  local old, now = {}, task.time()
  for i, row in ipairs(rows) do
    local shown = opened:state_of(row)
    local protected = shown == "live" or shown == "interrupted" or shown == "hold"
    if not protected and i > (parsed.keep or KEEP) and now - (row.ended or row.started) > (parsed.days or DAYS) * DAY then
      old[#old + 1] = row
    end
  end
  return old
end

local function digests_of(manifest_path, keep)
  local manifest = json.decode(fs.read(manifest_path) or "")
  if type(manifest) ~= "table" then return end
  if manifest.config then keep[manifest.config.digest] = true end
  for _, layer in ipairs(manifest.layers or {}) do keep[layer.digest] = true end
end

-- Blobs that no manifest of index.json reaches.
local function sweep_store(store, numbers)
  local path = store .. "/index.json"
  if not fs.stat(path) then return 0 end
  local lock = fs.lock(store .. "/index.lock")
  if not lock then return 0 end -- a run is persisting: next time
  local index, keep = assert(json.decode(assert(fs.read(path)))), {}
  local kept = json.array {}
  for _, each in ipairs(index.manifests) do
    local number = tonumber((each.annotations or {})["org.opencontainers.image.ref.name"]:match("^(%d+)/"))
    if not numbers[number] then
      kept[#kept + 1] = each
      keep[each.digest] = true
      digests_of(store .. "/blobs/sha256/" .. each.digest:sub(8), keep)
    end
  end
  index.manifests = kept
  assert(fs.write(path, json.encode(index), { durable = true }))
  local count = 0
  for _, name in ipairs(fs.list(store .. "/blobs/sha256") or {}) do
    if not keep["sha256:" .. name] and not name:find("%.") then
      assert(fs.remove(store .. "/blobs/sha256/" .. name))
      count = count + 1
    end
  end
  lock:release()
  return count
end

local function remove(opened, row)
  remains.remove(opened, row)
  assert(fs.remove(opened:run_dir(row.number)))
  opened:rows("DELETE FROM runs WHERE number = ?", row.number)
end

local function main(given)
  local parsed = args.parse(SPEC, given)
  local opened = state.open(project.find(parsed.project))
  local numbers = {}
  for _, row in ipairs(removable(opened, parsed)) do
    local good, failure = true, nil
    if not parsed.dry_run then good, failure = pcall(remove, opened, row) end
    if good then
      numbers[row.number] = true
      print(("%s run %d (%s)"):format(parsed.dry_run and "would remove" or "removed", row.number, row.state))
    else
      print(("run %d stays: %s"):format(row.number, failure.message))
    end
  end
  if next(numbers) and not parsed.dry_run then
    print(("removed %d blobs"):format(sweep_store(opened.dir .. "/store", numbers)))
  end
  for _, name in ipairs(fs.list(opened.dir) or {}) do -- what a run had no time to delete at its end
    if name:find("^%.done%-") and not parsed.dry_run then assert(fs.remove(opened.dir .. "/" .. name)) end
  end
  if not next(numbers) then print("nothing to remove") end
  opened:close()
  return 0
end

return { main = main }
