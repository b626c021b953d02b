-- Lists what a registry holds: orch lua registry_tags.lua HOST:PORT, with the login in
-- ORCH_TEST_REGISTRY_USER and ORCH_TEST_REGISTRY_PASSWORD. An example of the primitives, without a
-- job.
local http = require "orch.http"
local json = require "orch.json"
local secret = require "orch.secret"

local registry = ...
local login = {
  user = os.getenv("ORCH_TEST_REGISTRY_USER"),
  password = secret.new(os.getenv("ORCH_TEST_REGISTRY_PASSWORD") or "", "registry password"),
}

local MANIFESTS <const> = "application/vnd.docker.distribution.manifest.v2+json, "
  .. "application/vnd.oci.image.manifest.v1+json"

local function get(path, method)
  local reply =
    assert(http.request { url = ("http://%s/v2/%s"):format(registry, path),
    method = method or "GET",
    basic = login, headers = { Accept = MANIFESTS } })
  if reply.status ~= 200 then
    error(("%s answers %d to %s"):format(registry, reply.status, path), 0)
  end
  return reply
end

for _, repository in ipairs(assert(json.decode(get("_catalog").body)).repositories) do
  local tags = assert(json.decode(get(repository .. "/tags/list").body)).tags
  table.sort(tags)
  for _, tag in ipairs(tags) do
    local head = get(repository .. "/manifests/" .. tag, "HEAD")
    print(("%s/%s:%s  %s"):format(registry, repository, tag, head.headers["docker-content-digest"]))
  end
end
