-- Makes an HTTP request; the result is { status, headers, body }.
local verb = require "orch.verb"

local JSON <const> = "body = require \"orch.json\".encode { … }"

return verb.define {
  positional = "url",
  options = {
    url = "string",
    method = { "string?", doc = "default: GET, and POST with a body" },
    headers = { "table", default = {}, doc = "{ NAME = value }" },
    body = "string?",
    redirects = { "integer", default = 0, doc = "that are followed" },
    body_max = { "integer", default = 16 * 1024 * 1024, doc = "bytes of the answer" },
  },
  advice = { headers = "headers = { [\"content-type\"] = \"application/json\" }", body = JSON,
    json = JSON },
  returns = "orch.http.reply",
  run = function(_, o) return assert(require "orch.http".request(o)) end,
}
