-- What there is instead of a file of the job that is not there: the end of "no such file".
local nearest = require "orch.nearest"

local NAMED_MAX <const> = 8

local EMPTY <const> = "the job's directory is empty: job:checkout() puts the project there, "
  .. "job:attach_workspace() what other jobs have persisted"

-- The deepest directory of a path that is there, what is looked for in it, and what it holds.
local function deepest(files, path)
  local dir, sought = path, nil
  repeat
    local names = files.list(dir)
    if names then return dir, sought, names end
    local above, last = dir:match("^(.*)/([^/]+)/*$")
    if not above then above, last = ".", dir end
    if dir == "." or above == "" then return nil end
    dir, sought = above, last
  until false
end

-- What programs say of a file that they lack.
local LACKS <const> = { "[Nn]o such file", "[Nn]o makefile", "[Nn]o rule to make", "ENOENT",
  "[Cc]annot find",
  "[Cc]ould ?n.t find", "[Cc]ould not find", "[Cc]an.t open", "[Cc]annot open", "does not exist",
  "no Go files" }

local function empty(job)
  local good, names = pcall(job.fs.list, ".")
  return good and names ~= nil and #names == 0
end

--- What a person may want to know of a program that failed, or nil.
---@param job orch.Job
---@param said string its last lines
---@return string?
local function of_output(job, said)
  for _, pattern in ipairs(LACKS) do
    if said:find(pattern) then return empty(job) and EMPTY or nil end
  end
end

--- What a person may want to know of a path that is not there, or nil.
---@param job orch.Job
---@param path string as the recipe gave it
---@return string?
local function instead(job, path)
  if path:sub(1, 1) == "/" then return nil end
  if empty(job) then return EMPTY end
  local dir, sought, names = deepest(job.fs, path)
  if not dir or not sought then return nil end
  local near = nearest.find(sought, names)
  if near then return ("did you mean '%s'?"):format(dir == "." and near or dir .. "/" .. near) end
  local what = dir == "." and "the job's directory" or dir
  if #names == 0 then return what .. " is empty" end
  return ("in %s there %s %s%s"):format(what, #names == 1 and "is" or "are",
    table.concat(names, ", ", 1, math.min(#names, NAMED_MAX)), #names > NAMED_MAX and ", …" or "")
end

--- Gives an error about a path that is not there its hint.
---@param failure orch.error
---@param job orch.Job
---@param path string
---@return orch.error failure
local function explain(failure, job, path)
  if failure.kind == "missing" and not failure.hint then failure.hint = instead(job, path) end
  return failure
end

return { explain = explain, of_output = of_output }
