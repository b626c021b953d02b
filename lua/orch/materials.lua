-- What a run was made of, from what it has recorded: commits, images, files of the recipe,
-- parameters, layers, tools.
local fs = require "orch.fs"
local json = require "orch.json"
local record = require "orch.record"

local function results(opened, number, verb)
  local rows, list =
    opened:rows([[SELECT job, options, result FROM steps WHERE run = ? AND verb = ? AND state = 'success'
    AND result IS NOT NULL ORDER BY seq]], number, verb), {}
  for _, row in ipairs(rows) do
    local value = record.decode(row.result)
    if type(value) == "table" then
      list[#list + 1] = { job = row.job, options = record.decode(row.options) or {}, value = value }
    end
  end
  return list
end

local function commits(opened, row)
  local list = json.array {}
  local git = row.pipeline and record.decode(row.pipeline)
  if git then
    list[1] = { url = git.url or row.project, revision = git.revision, branch = git.branch,
      tag = git.tag }
  end
  for _, each in ipairs(results(opened, row.number, "checkout")) do
    list[#list + 1] = { url = type(each.options.url) == "string" and each.options.url
      or row.project,
      revision = each.value.sha, job = each.job }
  end
  for _, each in ipairs(results(opened, row.number, "docker_build")) do
    local source = each.value.source
    if type(source) == "table" then
      list[#list + 1] = { url = source.url, revision = source.commit, job = each.job }
    end
  end
  return list
end

-- Those that builds began with, as BuildKit names its steps: "[stage-1 1/3] FROM NAME@DIGEST".
local function bases_of_build(value)
  local found = {}
  for _, vertex in ipairs(type(value.vertexes) == "table" and value.vertexes or {}) do
    local given = vertex.name:match("^%[[^%]]*%] FROM (%S+)$")
    local name, digest = (given or ""):match("^(.-)@(sha256:%x+)$")
    name = name or given -- an image that no registry has given has no digest there
    if name then found[#found + 1] = { name = name, digest = digest, used = "build" } end
  end
  return found
end

local function images(opened, row)
  local list, seen = json.array {}, {}
  local function add(job, image)
    local key = ("%s %s@%s"):format(job, image.name, image.digest)
    if not seen[key] then list[#list + 1] = image end
    image.job, seen[key] = job, true
  end
  for _, each in ipairs(results(opened, row.number, "docker")) do -- the job's own container
    add(each.job,
      { name = each.value.image, digest = each.value.digest, id = each.value.id,
      used = "executor" })
  end
  for _, each in ipairs(results(opened, row.number, "docker_build")) do
    for _, base in ipairs(bases_of_build(each.value)) do add(each.job, base) end
  end
  return list
end

local function layers(opened, row)
  local list = opened:all("layers", row.number)
  table.sort(list, function(a, b)
    if a.job ~= b.job then return a.job < b.job end
    return a.step < b.step
  end)
  for i, each in ipairs(list) do
    list[i] = { job = each.job, digest = each.digest, diff_id = each.diff_id, size = each.size }
  end
  return json.array(list)
end

local function tools(opened, row)
  local found = { orch = record.decode(row.options).version }
  for _, each in ipairs(results(opened, row.number, "setup_remote_docker")) do
    found.docker, found.docker_api = each.value.server or found.docker,
      each.value.api or found.docker_api
  end
  return found
end

-- Each text that a session has read, also when it was another one later.
local function files(opened, row)
  local list = json.array {}
  for i,
    each in ipairs(opened:rows("SELECT * FROM files WHERE run = ? ORDER BY seq", row.number)) do
    local kept = ("%s/recipe/%s.lua"):format(opened:run_dir(row.number), each.digest)
    local text = fs.read(kept)
    list[i] = { path = each.path, kept = kept,
      digest = text and "sha256:" .. require "orch.hash".sha256(text) or "fnv1a64:" .. each.digest }
  end
  return list
end

local function digest_of(list, path)
  local digest
  for _, each in ipairs(list) do
    if each.path == path then digest = each.digest end
  end
  return digest
end

---@param opened table state
---@param row table of the run
---@return table plain values
local function of_run(opened, row)
  local read = files(opened, row)
  return { commits = commits(opened, row), base_images = images(opened, row), files = read,
    recipe = { path = row.recipe, digest = digest_of(read, row.recipe) },
    params = record.decode(row.params),
    layers = layers(opened, row), tools = tools(opened, row) }
end

return { of_run = of_run }
