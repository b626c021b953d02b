-- Builds an image from a directory, a tar, a git repository or a container's files; tags it.
local build = require "orch.docker.build"
local reference = require "orch.docker.reference"
local verb = require "orch.verb"

return verb.define {
  options = {
    tags = { "list", default = {}, doc = "names of the image: { \"HOST/NAME:TAG\" }" },
    context = { "string|table", default = ".",
      doc = "a directory or tar file of the job, or a git URL#REF:DIR; "
      .. "{ git = URL, ref =, dir =, user =, password = }, { tar = FILE, dir = }, { container = NAME, path = PATH }" },
    dockerfile = { "string", default = "Dockerfile",
      doc = "path in the context; with a line break, the text" },
    args = { "table", default = {}, doc = "what ARG names: { NAME = value }" },
    labels = { "table", default = {} },
    target = { "string?", doc = "a stage of the Dockerfile" },
    platform = { "string?", doc = "linux/arm64" },
    network = { "string?", doc = "of its RUN steps" },
    secrets = { "table", default = {}, doc = "{ id = job.secrets.NAME | { file = path } }" },
    ssh = { "boolean|string|table?", doc = "true: $SSH_AUTH_SOCK; a socket's path; { id = path }" },
    auth = { "table?", doc = "a login or a list of them, for the images that FROM names" },
    cache_from = { "list", default = {}, doc = "images whose layers may be taken" },
    inline_cache = { "boolean", default = false, doc = "makes the image fit for cache_from" },
    output = { "string?",
      doc = "FILE.tar or a directory for the result's files; no image is made" },
    pull = { "boolean", default = false, doc = "asks registries also for images that are here" },
    no_cache = { "boolean", default = false },
    classic = { "boolean", default = false, doc = "the builder without BuildKit" },
  },
  external = true,
  effects = function(o) return { build = o.tags } end,
  returns = "orch.BuildResult",
  run = function(job, o)
    for _, tag in ipairs(o.tags) do reference.parse(tag) end
    local result = build.build(job, o)
    job:log("%s", result.image or "written to " .. o.output)
    for _, tag in ipairs(o.tags) do job:log("  tagged %s", tag) end
    return result
  end,
}
