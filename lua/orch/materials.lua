-- What a run was made of, from what it has recorded: commits, images, parameters, layers, tools.
local json = require "orch.json"
local record = require "orch.record"

local function results(opened, number, verb)
  local rows, list = opened:rows([[SELECT job, options, result FROM steps WHERE run = ? AND verb = ? AND state = 'success'
    AND result IS NOT NULL ORDER BY seq]], number, verb), {}
  for i, row in ipairs(rows) do
    list[i] = { job = row.job, options = record.decode(row.options) or {}, value = record.decode(row.result) }
  end
  return list
end

local function commits(opened, row, project)
  local list = json.array {}
  local git = row.pipeline and record.decode(row.pipeline)
  if git then list[1] = { url = git.url or project, revision = git.revision, branch = git.branch, tag = git.tag } end
  for _, each in ipairs(results(opened, row.number, "checkout")) do
    if type(each.value) == "table" then
      list[#list + 1] = { url = type(each.options.url) == "string" and each.options.url or project, revision = each.value.sha,
        job = each.job }
    end
  end
  return list
end

local function base_images(opened, row)
  local list, seen = json.array {}, {}
  for _, each in ipairs(results(opened, row.number, "docker_build")) do
    for _, base in ipairs(type(each.value) == "table" and each.value.bases or {}) do
      local key = ("%s@%s"):format(base.name, base.digest)
      if not seen[key] then list[#list + 1] = { name = base.name, digest = base.digest, job = each.job } end
      seen[key] = true
    end
  end
  return list
end

local function layers(opened, row)
  local list = json.array {}
  for i, each in ipairs(opened:rows([[SELECT job, digest, diff_id, size FROM layers WHERE run = ? ORDER BY job, step]],
    row.number)) do
    list[i] = { job = each.job, digest = each.digest, diff_id = each.diff_id, size = each.size }
  end
  return list
end

local function tools(opened, row)
  local found = { orch = record.decode(row.options).version }
  for _, each in ipairs(results(opened, row.number, "setup_remote_docker")) do
    found.docker = type(each.value) == "table" and each.value.server or found.docker
    found.docker_api = type(each.value) == "table" and each.value.api or found.docker_api
  end
  return found
end

---@param opened table state
---@param row table of the run
---@return table plain values
local function of_run(opened, row)
  return { commits = commits(opened, row, row.project), base_images = base_images(opened, row),
    recipe = { path = row.recipe, digest = "fnv1a64:" .. row.digest }, params = record.decode(row.params),
    layers = layers(opened, row), tools = tools(opened, row) }
end

return { of_run = of_run }
