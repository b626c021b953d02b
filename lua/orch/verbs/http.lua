-- Makes an HTTP request; the result is { status, headers, body }.
local verb = require "orch.verb"

local JSON <const> = "body = require \"orch.json\".encode { … }"

return verb.define {
  positional = "url",
  options = {
    url = "string",
    method = "string?",
    headers = { "table", default = {} },
    body = "string?",
    redirects = { "integer", default = 0 },
    body_max = { "integer", default = 16 * 1024 * 1024 },
  },
  advice = { headers = "headers = { [\"content-type\"] = \"application/json\" }", body = JSON,
    json = JSON },
  returns = "orch.http.reply",
  run = function(_, o) return assert(require "orch.http".request(o)) end,
}
