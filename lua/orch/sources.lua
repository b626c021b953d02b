-- The files that a run's recipe was read from: recipe, modules, verbs. Each text is kept below the
-- run's directory, so that a resumed run can say what has changed, and anybody what the run was
-- made of.
local fnv = require "orch.fnv"
local fs = require "orch.fs"

local function place_of(journal, digest)
  return ("%s/recipe/%s.lua"):format(journal.state:run_dir(journal.number), digest)
end

--- The newest of each that is on record.
---@param journal table its sources: digests by path
local function read(journal)
  local rows = journal.state:rows("SELECT * FROM files WHERE run = ? ORDER BY seq", journal.number)
  for _, each in ipairs(rows) do journal.sources[each.path] = each.digest end
end

local KEEP <const> = [[INSERT OR REPLACE INTO files (run, path, digest, seq)
  SELECT ?1, ?2, ?3, coalesce(max(seq), 0) + 1 FROM files WHERE run = ?1]]

--- Keeps the text of a file.
---@param journal table
---@param path string
---@param text string
---@return string? former the text that an earlier session had there, when it was another
local function keep(journal, path, text)
  local digest, former = fnv.hash(text), journal.sources[path]
  if former == digest then return nil end
  if next(journal.sources) == nil then
    assert(fs.make_dir(journal.state:run_dir(journal.number) .. "/recipe", tonumber("700", 8)))
  end
  journal.sources[path] = digest
  assert(fs.write(place_of(journal, digest), text))
  journal.base:post(KEEP, journal.number, path, digest)
  return former and (fs.read(place_of(journal, former)) or "")
end

return { read = read, keep = keep }
