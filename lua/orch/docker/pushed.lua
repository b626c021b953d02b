-- What a push would not change: tags whose registry has the image already.
--
-- The daemon knows by which digests a repository has an image, once it was pushed there or pulled
-- (RepoDigests, which belong to the image and not to its tags). When the registry's tag has one of
-- them, and it is the digest of a manifest, which names one image and all of its layers, then a
-- push would put there what is there. That the layers are there is the registry's word: it takes
-- no manifest without them, and must not lose them while it has one (OCI distribution-spec, push).
--
-- The registry is asked from here, in one request of 2 ms; by the daemon's own /distribution it
-- would be five, 16 ms, where the push of what is there takes 12 (registry on the same machine).
-- So only beside a daemon on this machine, where a host's name means the same. Whatever goes wrong
-- is no failure: the push tells.
local image = require "orch.docker.image"
local registry = require "orch.docker.registry"

-- An index names images of other platforms too, and a push would put one in its place.
local MANIFESTS <const> = { ["application/vnd.docker.distribution.manifest.v2+json"] = true,
  ["application/vnd.oci.image.manifest.v1+json"] = true }

local Pushed = {}
Pushed.__index = Pushed

-- Hosts that cannot be reached from here, by job: where only the daemon knows of a proxy, each try
-- takes seconds.
local unreachable = setmetatable({}, { __mode = "k" })

--- For the tags of one push.
---@param job orch.Job
---@param connected orch.DockerClient
---@return orch.Pushed
local function new(job, connected)
  unreachable[job] = unreachable[job] or {}
  return setmetatable({ job = job, connected = connected, repositories = {},
    unreachable = unreachable[job], refused = {} }, Pushed)
end

local function repository(self, one)
  local found = self.repositories[one.name]
  if not found then
    found = registry.repository(self.job, one, one.login)
    self.repositories[one.name] = found
  end
  return found
end

--- The digest of a tag that need not be pushed; nil for one that must.
---@param one { tag: string, name: string, host: string, path: string, label: string, login?: orch.DockerCredential }
---@return string? digest
function Pushed:digest(one)
  local place = self.connected.endpoint
  if not place.unix or place.ssh then return nil end
  if self.unreachable[one.host] or self.refused[one.host] then return nil end
  local inspected = image.look(self.connected, one.tag)
  local known = inspected and image.digests_of(inspected, one.name) or {}
  if #known == 0 then return nil end
  local manifest, failure = repository(self, one):glance(one.label)
  if not manifest then
    local cut_off = failure.kind == "net" or failure.kind == "timeout"
    self.unreachable[one.host] = cut_off or nil
    self.refused[one.host] = failure.kind ~= "missing" or nil
    return nil
  end
  -- A daemon with containerd's store calls an image by the digest itself, be it an index's.
  local is_image = MANIFESTS[manifest.type] or inspected.Id == manifest.digest
  for _, digest in ipairs(is_image and known or {}) do
    if digest == manifest.digest then return digest end
  end
end

return { new = new }
