-- Asks a person: an approval, a value, a code. A run that nobody answers is put on hold.
local question = require "orch.question"
local secret = require "orch.secret"
local unknown = require "orch.unknown"
local verb = require "orch.verb"

return verb.define {
  positional = "id",
  title = function(o)
    return tostring(o.question or "question " .. tostring(o.id)):match("^%s*([^\n]*)")
  end,
  options = {
    id = { "string", pattern = "[%w_.-]+", doc = "what `orch answer` calls it" },
    question = "string?",
    type = { "string", default = "approval",
      enum = { "approval", "code", "string", "integer", "number", "boolean" } },
    default = "any?",
    enum = "list?",
    pattern = "string?",
    min = "number?",
    max = "number?",
  },
  plan = function(_, o) return unknown.new("answer " .. tostring(o.id)) end,
  advice = { id = "job:ask { \"deploy\", question = \"Deploy it?\" }" },
  returns = "string|number|boolean",
  run = function(job, o)
    local text = job:answer_to(o)
    if o.type == "code" then job:mask(secret.new(text, o.id)) end
    local value = question.value(o, text)
    job:log("answered%s",
      o.type == "approval" and ": yes" or o.type ~= "code" and ": " .. tostring(value) or "")
    return value
  end,
}
