-- Keeps files of the job for people, beside the run's record; `orch show` tells where.
local amount = require "orch.amount"
local error_value = require "orch.error"
local fs = require "orch.fs"
local listing = require "orch.listing"
local options = require "orch.options"
local verb = require "orch.verb"

local function looked_at(job, path)
  local stat, failure = job.fs.stat(path)
  if not stat then error(listing.explain(failure, job, path), 0) end
  if stat.type == "file" or stat.type == "directory" then return stat.type end
  error(error_value.new { kind = "failed",
    message = ("store_artifacts: '%s' is neither a file nor a directory (%s)"):format(path,
      stat.type), hint = "name what a link points to" }, 0)
end

-- What is packed, and the directory that it is below.
local function source(path, kind)
  if kind == "directory" then return path, "." end
  local dir, name = path:match("^(.*/)([^/]+)$")
  return dir or ".", ((name or path):gsub("[%*%?%[\\]", "\\%0"))
end

-- Below the run's own directory; each attempt at a job has its own.
local function place(job, root, o)
  local destination = o.destination or root:gsub("^/+", "")
  if destination:sub(1, 1) == "/" or ("/" .. destination .. "/"):find("/../", 1, true) then
    options.usage("store_artifacts: the destination '%s' leads out of the artifacts of the job",
      destination)
  end
  return fs.join(("%s/artifacts/%s"):format(job.run_dir, job.place), destination)
end

return verb.define {
  positional = "path",
  title = function(o) return "store " .. tostring(o.path) end,
  options = {
    path = { "string", doc = "a file, or a directory and all that is in it" },
    destination = { "string?",
      doc = "a directory among the artifacts; default: the path's own, as in the job" },
  },
  returns = "{ dir: string, entries: integer, size: integer }",
  run = function(job, o)
    local root, name = source(o.path, looked_at(job, o.path))
    local into = place(job, root, o)
    local aside = assert(fs.make_temp(job.host_tmp .. "/artifacts-"))
    local archive <const> = aside .. "/tar"
    local packed = assert(job.fs.pack { root = root, paths = { name }, file = archive,
      compression = "none" })
    assert(fs.make_dir(into))
    assert(require "orch.tar".unpack { file = archive, into = into })
    assert(fs.remove(aside))
    job:log("%s, %s: %s", amount.entries(packed.entries), amount.size(packed.size), into)
    job:artifact { kind = "files", name = into }
    return { dir = into, entries = packed.entries, size = packed.size }
  end,
}
