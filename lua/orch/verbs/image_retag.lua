-- Gives an image in its registry other tags; nothing is pulled.
local credentials = require "orch.docker.credentials"
local error_value = require "orch.error"
local reference = require "orch.docker.reference"
local registry = require "orch.docker.registry"
local verb = require "orch.verb"

-- Tags by themselves, or whole references of the same repository.
local function labels(source, tags)
  local name, list = reference.parse(source).name, {}
  for i, tag in ipairs(tags) do
    local parsed = tag:find("[/:]") and reference.parse(tag) or reference.parse(name .. ":" .. tag)
    if parsed.name ~= name or parsed.digest then
      error(error_value.new { kind = "usage",
        message = ("image_retag: '%s' is no tag of %s"):format(tag, name) }, 0)
    end
    list[i] = parsed.tag or "latest"
  end
  return list
end

return verb.define {
  options = {
    source = { "string", doc = "HOST/NAME:TAG or HOST/NAME@DIGEST" },
    tags = { "string|list", doc = "tags of the same repository" },
    auth = { "table?", doc = "a login; default: the one that is kept for the host" },
  },
  external = true,
  effects = function(o) return { push = verb.list(o.tags) } end,
  returns = "{ digest: string }",
  run = function(job, o)
    local list = labels(o.source, verb.list(o.tags))
    local credential = credentials.choose(job, o.auth, reference.parse(o.source).host, o.source)
    local digest = registry.retag(job, o.source, list, credential)
    for _, label in ipairs(list) do
      local name = ("%s:%s"):format(reference.parse(o.source).name, label)
      job:log("%s  %s", name, digest)
      job:artifact { kind = "image", name = name, digest = digest }
    end
    return { digest = digest }
  end,
}
