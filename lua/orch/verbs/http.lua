-- Makes an HTTP request; the result is { status, headers, body }.
local listing = require "orch.listing"
local verb = require "orch.verb"

local JSON <const> = "body = require \"orch.json\".encode { … }"

local function request(job, o)
  if o.body_file then
    local stat, failure = job.fs.stat(o.body_file)
    if not stat then error(listing.explain(failure, job, o.body_file), 0) end
    o.body_file = job.fs.seen(o.body_file)
  end
  return assert(require "orch.http".request(o))
end

return verb.define {
  positional = "url",
  options = {
    url = "string",
    method = { "string?", doc = "default: GET, and POST with a body" },
    headers = { "table", default = {}, doc = "{ NAME = value }" },
    body = "string?",
    body_file = { "string?", doc = "a file of the job that is the body" },
    redirects = { "integer", default = 0, doc = "that are followed" },
    body_max = { "integer", default = 16 * 1024 * 1024, doc = "bytes of the answer" },
  },
  advice = { headers = "headers = { [\"content-type\"] = \"application/json\" }", body = JSON,
    json = JSON },
  returns = "orch.http.reply",
  run = request,
}
